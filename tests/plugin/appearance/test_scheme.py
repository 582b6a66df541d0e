"""What the App is told to show, and in which colours; what a person has set is left as it is."""

from __future__ import annotations

import fiftyone as fo
import pytest

from diffucurate.plugin.appearance.palette import FAMILIES, shades
from diffucurate.plugin.appearance.scheme import apply_default_appearance, colour_classes, show_fields
from diffucurate.plugin.store.classes import extend_classes
from diffucurate.plugin.store.schema import declare_heatmaps, declare_label_fields

WARM, COOL = FAMILIES["warm"], FAMILIES["cool"]


def shown(dataset: fo.Dataset) -> list[str]:
    dataset.reload()
    return dataset.app_config.active_fields.paths


def label(dataset: fo.Dataset, source: str, *classes: str) -> None:
    """What a label run does before its first label."""
    before = set(dataset.get_field_schema())
    known = extend_classes(dataset, {name: [name] for name in classes})
    declare_label_fields(dataset, source, known)
    if source == "attention":
        declare_heatmaps(dataset, known)
    apply_default_appearance(dataset, source, before)


def test_instances_are_on_and_what_would_cover_them_off(dataset):
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    label(dataset, "attention", "car")
    assert shown(dataset) == ["ground_truth", "attention_instances"]
    label(dataset, "yolov8", "car")
    assert shown(dataset) == ["ground_truth", "attention_instances", "yolov8_instances"]


def test_what_the_user_switched_stays_that_way(dataset):
    label(dataset, "attention", "car")
    dataset.app_config.active_fields = fo.ActiveFields(paths=["attention_mask", "heatmap_car"])
    dataset.save()
    label(dataset, "attention", "car", "bus")
    assert shown(dataset) == ["attention_mask", "heatmap_car"]
    label(dataset, "yolov8", "car")
    assert shown(dataset) == ["attention_mask", "heatmap_car", "yolov8_instances"]
    dataset.app_config.active_fields = fo.ActiveFields(exclude=True, paths=["metadata", "heatmap_bus"])
    dataset.save()
    show_fields(dataset, ["heatmap_bus"], hidden=["attention_polygons"])
    assert dataset.app_config.active_fields.exclude
    assert shown(dataset) == ["metadata", "attention_polygons"]


def colours(dataset: fo.Dataset) -> dict[str, dict[str | int, str]]:
    """Field -> class, or the id of a class -> colour."""
    dataset.reload()
    found = {}
    for field in dataset.app_config.color_scheme.fields:
        pairs = [(entry["value"], entry["color"]) for entry in field.get("valueColors", [])]
        pairs += [(entry["intTarget"], entry["color"]) for entry in field.get("maskTargetsColors", [])]
        found[field["path"]] = dict(pairs)
    return found


def test_a_source_has_one_family_and_a_class_one_shade_of_it(dataset):
    label(dataset, "attention", "car")
    label(dataset, "yolov8", "car", "bus")
    label(dataset, "mask2former", "bus")
    found = colours(dataset)
    for source, family in (("attention", WARM), ("yolov8", COOL)):
        assert found[f"{source}_instances"] == {"car": family[0], "bus": family[1]}
        assert found[f"{source}_polygons"] == found[f"{source}_instances"]
        assert found[f"{source}_mask"] == {1: family[0], 2: family[1]}
    assert not {*WARM, *COOL} & {*found["mask2former_instances"].values()}
    scheme = dataset.app_config.color_scheme
    assert scheme.color_by == "value"
    marks = {field["path"]: field["fieldColor"] for field in scheme.fields}
    assert marks["heatmap_car"] == marks["attention_mask"] == WARM[0]


def test_heatmaps_have_a_scale_that_the_app_need_not_work_out(dataset):
    label(dataset, "attention", "car")
    dataset.reload()
    scale = dataset.app_config.color_scheme.default_colorscale
    assert [scale["list"][0]["value"], scale["list"][-1]["value"]] == [0, 1]
    plotly = pytest.importorskip("fiftyone.core.plots.plotly")
    worked_out = plotly.get_colormap([[stop["value"], stop["color"]] for stop in scale["list"]])
    assert all(
        abs(a - b) <= 2
        for one, other in zip(scale["rgb"], worked_out, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_a_colour_scheme_of_the_users_own_stays(dataset):
    dataset.app_config.color_scheme = fo.ColorScheme(color_by="field", color_pool=["#ff0000"])
    dataset.save()
    colour_classes(dataset, ["car"], ["attention"])
    dataset.reload()
    assert dataset.app_config.color_scheme.color_pool == ["#ff0000"]
    assert not dataset.app_config.color_scheme.fields


def test_a_label_field_of_a_persons_own_has_one_colour_the_same_everywhere(dataset):
    from diffucurate.plugin.appearance.source_colours import source_colours

    objects = [fo.Detection(label=name, bounding_box=[0, 0, 0.5, 0.5]) for name in ("car", "bus")]
    dataset.add_sample(fo.Sample("image.png", ground_truth=fo.Detections(detections=objects)))
    label(dataset, "attention", "car", "bus")
    green = source_colours(dataset, ["attention", "ground_truth"])["ground_truth"]
    assert set(colours(dataset)["ground_truth"].values()) == {green} and set(colours(dataset)["ground_truth"]) == {
        "car",
        "bus",
    }
    assert green not in (*WARM, *COOL)
    label(dataset, "yolov8", "car")
    assert source_colours(dataset, ["ground_truth", "yolov8"])["ground_truth"] == green
    assert set(colours(dataset)["ground_truth"].values()) == {green}


def test_what_a_person_coloured_in_our_scheme_stays(dataset):
    dataset.add_sample(fo.Sample("image.png", ground_truth=fo.Detections()))
    label(dataset, "attention", "car")
    scheme = dataset.app_config.color_scheme
    mine = {"path": "ground_truth", "fieldColor": "#123456", "colorByAttribute": "label", "valueColors": []}
    scheme.fields = [entry for entry in scheme.fields if entry["path"] != "ground_truth"]
    scheme.fields = [*scheme.fields, mine, {"path": "prompt", "fieldColor": "#654321"}]
    dataset.save()
    label(dataset, "yolov8", "car", "bus")
    dataset.reload()
    entries = {entry["path"]: entry for entry in dataset.app_config.color_scheme.fields}
    assert entries["ground_truth"]["fieldColor"] == "#123456" and entries["prompt"]["fieldColor"] == "#654321"
    assert len(entries["attention_instances"]["valueColors"]) == 2


def test_no_colour_of_a_family_is_too_dark_to_be_seen(dataset):
    for shade in shades("grey", 50):
        assert int(shade[1:3], 16) >= 0x70
