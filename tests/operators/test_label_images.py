"""Label images: the form, and labels made again from kept maps, as the App, Python and a background run do it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fiftyone.operators.executor import ExecutionError

from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.tiny import yolo_path
from diffucurate.operators.runtime.operator import REFRESH_OPENED
from diffucurate.operators.runtime.uris import SHOW_GROUPS

if TYPE_CHECKING:
    import fiftyone as fo


def notices(form: dict[str, Any]) -> list[str]:
    """What the boxes of the form say, top to bottom."""
    return [field["view"]["label"] for field in form.values() if field["view"]["name"] in ("Notice", "Warning")]


def test_settings_are_folded_until_they_are_asked_for(app, painted: fo.Dataset) -> None:
    folded, attention, yolo, both = (
        set(app.form("label_images", painted, **params))
        for params in (
            {},
            {"show_settings": True},
            {"show_settings": True, "use_attention": False, "use_yolov8": True},
            {"show_settings": True, "use_yolov8": True},
        )
    )
    assert {"view_target", "use_attention", "use_yolov8", "classes", "show_settings"} <= folded
    assert {"attention_floor", "attention_min_area", "attention_counted"} <= attention - folded
    assert {"model", "refiner", "contrast"} <= attention - folded
    assert {"yolov8_min_confidence", "weights"} <= yolo - folded and not {"model", "refiner", "attention_floor"} & yolo
    assert attention | yolo == both


def test_slider_offers_the_range_and_the_default_of_the_setting(app, painted: fo.Dataset) -> None:
    form = app.form("label_images", painted, show_settings=True, attention_floor=0.7)
    floor = form["attention_floor"]
    assert (floor["type"]["min"], floor["type"]["max"], floor["default"]) == (0, 1, 0.75)
    assert floor["view"]["name"] == "SliderView" and floor["view"]["label"] == "Threshold: 0.70"


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"use_yolov8": True, "weights": "/nowhere/best.pt"}, "weights", "'/nowhere/best.pt' is no file"),
        ({"weights": "/nowhere/best.pt"}, None, ""),  # left from another choice: not asked for
        ({"use_yolov8": True}, None, ""),
        ({"model": "/nowhere/model"}, "model", "neither a folder nor a file that exists"),
        ({"model": "best.ckpt"}, "model", "is a pickle"),
        ({"model": "owner/name"}, None, ""),
        ({"refiner": "/nowhere/sam"}, "refiner", "neither a folder that exists nor a hub id"),
        ({"refiner": str(Path(__file__).parent)}, "refiner", "holds no config.json"),
        ({"refiner": "owner/name"}, None, ""),
        ({"refiner": "/nowhere/sam", "use_attention": False, "use_yolov8": True}, None, ""),
        ({"attention_floor": 3}, "attention_floor", "it must be from 0 to 1"),
        ({"attention_min_area": -1e300}, "attention_min_area", "it must be from 0 to 1"),
        ({"attention_min_area": "a lot"}, "attention_min_area", "write a number"),
        ({"use_yolov8": True, "yolov8_max_overlap": 70}, "yolov8_max_overlap", "it must be from 0 to 1"),
    ],
)
def test_form_errors_unfold_the_settings(
    app, painted: fo.Dataset, params: dict[str, Any], field: str | None, words: str
) -> None:
    problems = app.problems("label_images", painted, **params)
    assert list(problems) == ([field] if field else [])
    assert words in "".join(problems.values())


def test_no_source_and_no_images_are_refused(app, painted: fo.Dataset) -> None:
    problems = app.problems("label_images", painted, use_attention=False)
    sources = ("attention", "yolov8", "mask2former", "grounding", "sam3", "adapter", "zoo")
    assert problems == {f"use_{name}": "choose at least one source" for name in sources}
    painted.delete_samples(painted.values("id"))
    assert "no images to label" in app.problems("label_images", painted)["no_images"]


def test_dataset_without_classes_needs_them_named(app, painted: fo.Dataset) -> None:
    copy = painted.clone()
    copy.info, copy.mask_targets = {}, {}
    try:
        assert "classes" in app.problems("label_images", copy)
    finally:
        copy.delete()
    assert app.problems("label_images", painted, classes=["car"]) == {}


def test_form_says_what_will_happen(app, painted: fo.Dataset) -> None:
    paths = painted.values("attention_maps")
    painted.set_values("attention_maps", [*paths[:3], None])
    painted.set_values("attention_instances", [None] * 4)
    assert notices(app.form("label_images", painted)) == [
        "3 images keep their heatmaps: labels are made from those, nothing is painted. "
        "1 other is looked at by the built-in model."
    ]
    painted.set_values("attention_maps", [None] * 4)
    form = app.form("label_images", painted, model="owner/name", use_yolov8=True)
    assert notices(form)[:2] == [
        "4 images are looked at by the model 'owner/name'.",
        "4 images are looked at by YOLOv8.",
    ]


def test_form_says_who_redraws_outlines(app, painted: fo.Dataset) -> None:
    (sentence,) = notices(app.form("label_images", painted, refiner="facebook/sam-vit-base"))
    assert " Outlines are redrawn by the model 'facebook/sam-vit-base' where it agrees." in sentence


def test_form_warns_of_labels_that_are_replaced(app, painted: fo.Dataset) -> None:
    found = painted.values("attention_instances")
    painted.set_values("attention_instances", [found[0], None, None, None])
    form = app.form("label_images", painted)
    assert form["attention_plan"]["view"]["name"] == "Warning"
    assert notices(form)[0].endswith(" 1 image has labels from Attention already, which are replaced.")


def test_preview_follows_the_settings(app, painted: fo.Dataset) -> None:
    def pictures(**params: Any) -> dict[str, tuple[str, str]]:
        form = app.form("label_images", painted, show_settings=True, **params)
        properties = form["preview"]["type"]["properties"] if "preview" in form else {}
        return {name: (prop["view"]["label"], prop["default"]) for name, prop in properties.items()}

    assert pictures() == {}
    usual, strict = pictures(preview_on=True), pictures(preview_on=True, attention_floor=1.0)
    assert list(usual) == ["image", "now", "then"]
    assert all(picture.startswith("data:image/jpeg;base64,") for _, picture in usual.values())
    assert usual["now"] == strict["now"] and usual["then"][1] == usual["now"][1]
    assert strict["then"] == ("With these settings: 0 objects", usual["image"][1])


def test_without_kept_maps_the_preview_is_one_sentence(app, painted: fo.Dataset) -> None:
    painted.set_values("attention_maps", [None] * len(painted))
    form = app.form("label_images", painted, show_settings=True, preview_on=True)
    assert "preview" not in form and "None of these images keeps its heatmaps" in form["no_preview"]["view"]["label"]


def test_app_run_labels_and_shows_the_labels(app, painted: fo.Dataset) -> None:
    painted.set_values("attention_instances", [None] * len(painted))
    told = app.stream("label_images", painted, source="attention")
    assert told[0][1]["results"] == {"progress": 0}
    assert [name for name, params in told if "progress" not in params.get("results", {})] == [
        "reload_dataset",
        "set_active_fields",
        REFRESH_OPENED,
        "set_color_scheme",
        SHOW_GROUPS,
        "show_output",
    ]
    found = painted.count("attention_instances.detections")
    assert found >= len(painted)
    assert app.said(told) == ("Success", f"{len(painted)} images labelled by attention: {found} instances")
    assert "attention_instances" in dict(told)["set_active_fields"]["fields"]


@pytest.mark.skipif(not yolo_path().is_file(), reason="the built-in YOLOv8 is not trained yet")
def test_both_sources_at_once_with_their_settings(app, painted: fo.Dataset) -> None:
    params = {"use_yolov8": True, "attention_floor": 0.8, "attention_counted": False, "yolov8_min_confidence": 0.6}
    told = app.stream("label_images", painted, **params)
    painted.reload()
    found = {name: painted.count(f"{name}_instances.detections") for name in ("attention", "yolov8")}
    words = f"4 images labelled by attention: {found['attention']} instances, by yolov8: {found['yolov8']} instances"
    assert app.said(told) == ("Success", words)
    shown = dict(told)["show_output"]["outputs"]["type"]["properties"]
    assert shown["attention_settings"]["default"].startswith("outlines: network, threshold 0.8, smallest object 0.002")
    assert shown["attention_settings"]["default"].endswith("believe the prompt's count: off")
    assert shown["yolov8_settings"]["default"].startswith("least confidence 0.6")
    assert dict(told)["set_active_fields"]["fields"][-2:] == ["attention_instances", "yolov8_instances"]
    recorded = [painted.get_run_info(key).config.settings for key in painted.list_runs()]
    assert {
        run["source"]: run["settings"][name]
        for run, name in zip(sorted(recorded, key=lambda run: run["source"]), ("floor", "min_confidence"), strict=True)
    } == {"attention": 0.8, "yolov8": 0.6}


def test_what_is_done_is_said_when_a_later_source_fails(app, painted: fo.Dataset, tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    told = app.stream("label_images", painted, use_yolov8=True, weights=str(tmp_path / "broken.pt"))
    outcome, sentence = app.said(told)
    assert outcome == "Error" and sentence.startswith("labelled by attention, but not by yolov8: ")


def test_app_run_only_touches_the_target_view(app, painted: fo.Dataset) -> None:
    first, *others = painted.values("id")
    painted.set_values("attention_instances", [None] * len(painted))
    app.stream("label_images", painted, source="attention", view_target="SELECTED_SAMPLES", selected=(first,))
    painted.reload()
    assert painted[first].attention_instances is not None
    assert [painted[other].attention_instances for other in others] == [None] * len(others)


def test_errors_of_the_library_reach_the_person(app, painted: fo.Dataset, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(
        '{"_class_name": "StableDiffusionPipeline"}'
    )  # looks like a model until it is loaded
    painted.set_values("attention_maps", [None] * len(painted))
    told = app.stream("label_images", painted, source="attention", model=str(tmp_path))
    outcome, sentence = app.said(told)
    assert outcome == "Error" and str(tmp_path) in sentence


def test_call_from_python(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo

    result = foo.get_operator("@diffucurate/diffucurate/label_images")(painted.limit(2), source="attention")
    assert result["images"] == 2
    assert result["instances"] == painted.limit(2).count("attention_instances.detections")


def test_call_from_python_with_settings(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo

    strict = LabelSettings(floor=0.9, surround=0.0)
    result = foo.get_operator("@diffucurate/diffucurate/label_images")(
        painted, source=["attention"], settings={"attention": strict}
    )
    assert result["settings"] == {"attention": strict.model_dump()}
    (key,) = painted.list_runs()
    assert painted.get_run_info(key).config.settings["settings"] == strict.model_dump()


def test_refiner_from_python_and_in_the_record(app, painted: fo.Dataset, tmp_path: Path) -> None:
    import fiftyone.operators as foo
    from untrained_segmenters import save_sam2

    refiner = str(save_sam2(tmp_path / "sam2"))
    always = LabelSettings(min_agreement=0.0)
    result = foo.get_operator("@diffucurate/diffucurate/label_images")(
        painted, source="attention", refiner=refiner, settings={"attention": always}
    )
    (key,) = painted.list_runs()
    config = painted.get_run_info(key).config
    assert (config.settings["refiner"], result["settings"]["attention"]["min_agreement"]) == (refiner, 0)
    assert config.facts["refined"] == painted.values("attention_instances.detections.refined", unwind=True).count(True)


def test_contrast_from_python_and_in_the_record(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo

    for contrast in (True, False):
        foo.get_operator("@diffucurate/diffucurate/label_images")(painted, source="attention", contrast=contrast)
    painted.reload()
    settings = [painted.get_run_info(key).config.settings for key in painted.list_runs() if "label" in key]
    assert [made["contrast"] for made in settings] == [None, False]


def test_unknown_source_from_python_is_named(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo

    with pytest.raises(ExecutionError, match="use one or more of attention, yolov8"):
        foo.get_operator("@diffucurate/diffucurate/label_images")(painted, source=["attention", "yolo"])


def test_call_from_python_raises(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo

    with pytest.raises(ExecutionError, match="is no file"):
        foo.get_operator("@diffucurate/diffucurate/label_images")(painted, source="yolov8", weights="/nowhere/best.pt")


def test_delegated_run(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo
    from fiftyone.operators.delegated import DelegatedOperationService

    painted.set_values("attention_instances", [None] * len(painted))
    queued = foo.get_operator("@diffucurate/diffucurate/label_images")(painted, source="attention", delegate=True)
    service = DelegatedOperationService()
    operation = service.get(queued["id"])
    assert operation.run_state == "queued"
    result = service.execute_operation(operation)
    assert result.error is None
    assert (result.result["source"], result.result["images"]) == ("attention", len(painted))
    assert service.get(operation.id).run_state == "completed"
    assert painted.count("attention_instances.detections") == result.result["instances"] > 0


def test_the_world_of_a_built_in_model_is_said_before_it_labels_other_images(app, painted: fo.Dataset) -> None:
    form = app.form("label_images", painted, use_attention=False, use_yolov8=True)
    foreign = painted.match({"model": {"$ne": "tiny"}})
    assert ("yolov8_world" in form) == bool(len(foreign))
    painted.set_values("model", ["tiny"] * len(painted))
    assert "yolov8_world" not in app.form("label_images", painted, use_attention=False, use_yolov8=True)
    painted.set_values("model", ["someone/else"] * len(painted))
    form = app.form("label_images", painted, use_attention=False, use_yolov8=True)
    assert "street scenes of cars" in form["yolov8_world"]["view"]["label"]
    assert f"{len(painted)} images were not painted by it" in form["yolov8_world"]["view"]["label"]
    form = app.form("label_images", painted, use_attention=False, use_yolov8=True, weights="/my/own.pt")
    assert "yolov8_world" not in form
