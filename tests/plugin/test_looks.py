from __future__ import annotations

import fiftyone as fo

from diffucurate.plugin.looks import PALETTE, colour_classes, show_fields
from diffucurate.plugin.samples import declare_label_fields


def shown(dataset: fo.Dataset) -> list[str]:
    dataset.reload()
    return dataset.app_config.active_fields.paths


def test_new_fields_are_switched_on_and_the_users_stay(dataset):
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    declare_label_fields(dataset, "attention", ["car"])
    show_fields(dataset, ["heatmap_car", "attention_mask", "attention_instances"], hidden=["attention_polygons"])
    assert {"ground_truth", "heatmap_car", "attention_mask", "attention_instances"} <= set(shown(dataset))
    assert "attention_polygons" not in shown(dataset)


def test_what_the_user_switched_off_stays_off(dataset):
    dataset.app_config.active_fields = fo.ActiveFields(paths=["tags"])
    dataset.save()
    show_fields(dataset, ["heatmap_car"])
    assert shown(dataset) == ["tags", "heatmap_car"]
    dataset.app_config.active_fields = fo.ActiveFields(exclude=True, paths=["metadata", "heatmap_bus"])
    show_fields(dataset, ["heatmap_bus"], hidden=["attention_polygons"])
    assert dataset.app_config.active_fields.exclude
    assert shown(dataset) == ["metadata", "attention_polygons"]


def test_a_class_has_one_colour_everywhere(dataset):
    colour_classes(dataset, ["car"], ["attention"])
    colour_classes(dataset, ["car", "bus"], ["yolov8"])
    dataset.reload()
    scheme = dataset.app_config.color_scheme
    assert scheme.color_by == "value"
    assert [(m["intTarget"], m["color"]) for m in scheme.default_mask_targets_colors] == [
        (1, PALETTE[0]),
        (2, PALETTE[1]),
    ]
    colours = {f["path"]: [(v["value"], v["color"]) for v in f["valueColors"]] for f in scheme.fields}
    assert set(colours) == {"attention_instances", "attention_polygons", "yolov8_instances", "yolov8_polygons"}
    assert set(map(tuple, colours.values())) == {(("car", PALETTE[0]), ("bus", PALETTE[1]))}


def test_a_colour_scheme_of_the_users_own_stays(dataset):
    dataset.app_config.color_scheme = fo.ColorScheme(color_by="field", color_pool=["#ff0000"])
    dataset.save()
    colour_classes(dataset, ["car"], ["attention"])
    dataset.reload()
    assert dataset.app_config.color_scheme.color_pool == ["#ff0000"]
