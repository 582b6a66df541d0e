"""A source that is registered is everywhere: in forms, on the command line, in colours, comparisons and exports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import brightness
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.sources import registry
from diffucurate.plugin.appearance.palette import FAMILIES
from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.cli import run
from diffucurate.plugin.labelling.label import label

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    registry.register(brightness.SPEC)
    yield
    registry.unregister("brightness")


def test_form_offers_it_and_asks_for_its_settings(app, painted: fo.Dataset) -> None:
    box = app.form("label_images", painted)["use_brightness"]
    assert (box["view"]["label"], box["view"]["description"]) == ("Bright Spots", "Whatever is bright")
    ticked = {"use_attention": False, "use_brightness": True, "show_settings": True}
    form = app.form("label_images", painted, **ticked)
    assert form["brightness_plan"]["view"]["label"] == "4 images are looked at by Bright Spots."
    assert form["brightness_settings"]["view"]["description"] == "All of it is of the first class"
    slider = form["brightness_brightness"]
    assert (slider["type"]["min"], slider["type"]["max"], slider["default"]) == (0, 1, 0.6)
    assert slider["view"]["name"] == "SliderView"
    assert form["brightness_channel"]["type"]["values"] == ["red", "green", "blue"]
    assert form["brightness_dark"]["type"]["name"] == "Boolean"
    assert form["brightness_smallest"]["default"] == 1
    assert not {"model", "weights", "attention_floor"} & set(form)
    for name, value in (("brightness", 2), ("channel", "infrared"), ("smallest", 0.5)):
        field = f"brightness_{name}"
        assert list(app.problems("label_images", painted, **ticked, **{field: value})) == [field]


def test_form_labels_with_it(app, painted: fo.Dataset) -> None:
    messages = app.stream("label_images", painted, source="brightness", brightness_dark=True, brightness_channel="blue")
    painted.reload()
    found = painted.count("brightness_instances.detections")
    assert found == len(painted) and app.said(messages)[1] == f"4 images labelled by brightness: {found} instances"
    shown = dict(messages)["show_output"]["outputs"]["type"]["properties"]["brightness_settings"]
    assert shown["view"]["label"] == "Bright Spots settings"
    assert shown["default"] == "brightness 0.6, channel: blue, dark objects: on, smallest 1"
    (key,) = painted.list_runs()
    settings = {"brightness": 0.6, "channel": "blue", "dark": True, "smallest": 1}
    assert painted.get_run_info(key).config.settings["settings"] == settings


def test_command_line_takes_it_and_its_settings(painted: fo.Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    def command(*arguments: str) -> tuple[int, dict[str, Any]]:
        capfd.readouterr()
        code = run([*arguments, "--json"])
        return code, json.loads(capfd.readouterr().out)

    assert run(["label", "--help"]) == 0
    shown = " ".join(capfd.readouterr().out.split())
    assert "brightness: Whatever is bright (any image)" in shown
    assert all(word in shown for word in ("--brightness", "--channel", "--dark", "--no-dark", "--least-pixels"))
    arguments = ("label", painted.name, "--source", "brightness")
    code, document = command(*arguments, "--brightness", "0.1", "--channel", "green", "--batch-size", "3")
    assert (code, document["instances"]) == (0, len(painted))
    assert command(*arguments, "--dark", "--brightness", "0", "--least-pixels", "5")[1]["instances"] == 0
    painted.reload()
    settings = [painted.get_run_info(key).config.settings["settings"] for key in painted.list_runs()]
    assert {(made["brightness"], made["channel"], made["dark"], made["smallest"]) for made in settings} == {
        (0.1, "green", False, 1),
        (0.0, "red", True, 5),
    }
    for wrong, message in (
        (("--threshold", "0.5"), "threshold: 0.5 - source 'brightness' has no such setting"),
        (("--model", "tiny"), "model: 'tiny' - source 'brightness' does not take it"),
        (("--brightness", "2"), "--brightness"),
        (("--channel", "infrared"), "'red'"),
    ):
        code, document = command(*arguments, *wrong)
        assert code == 1 and message in document["error"]["message"]
    code, document = command("label", painted.name, "--source", "attention", "--least-pixels", "5")
    assert code == 1 and "least_pixels: 5 - source 'attention' has no such setting" in document["error"]["message"]


def test_it_is_compared_coloured_grouped_and_exported(app, painted: fo.Dataset, tmp_path: Path) -> None:
    import fiftyone.operators as foo

    label(painted, source="brightness", settings=brightness.BrightnessSettings(brightness=0.2))
    for name in ("a", "b"):
        assert "brightness" in app.form("compare_sources", painted)[name]["type"]["values"]
    plugin = "@diffucurate/diffucurate/"
    foo.get_operator(f"{plugin}compare_sources")(painted, "attention", "brightness")
    painted.reload()
    assert None not in painted.values("agreement_attention_brightness")

    groups = {group.name: group.paths for group in painted.app_config.sidebar_groups}
    assert groups["Bright Spots"] == ["brightness_instances", "brightness_mask", "brightness_polygons"]
    assert source_colours(painted, ["brightness"]) == {"brightness": FAMILIES["green"][0]}
    marks = {field["path"]: field["fieldColor"] for field in painted.app_config.color_scheme.fields}
    assert marks["brightness_instances"] == FAMILIES["green"][0] and "brightness_mask" in marks

    assert "brightness" in app.form("export_samples", painted)["source"]["type"]["values"]
    out = tmp_path / "coco"
    foo.get_operator(f"{plugin}export_samples")(painted, str(out), format="coco", source="brightness")
    document = json.loads((out / "annotations" / "train.json").read_text())
    assert len(document["annotations"]) == painted.count("brightness_instances.detections") > 0


def test_what_it_does_not_take_is_refused(painted: fo.Dataset) -> None:
    for wrong, message in (
        ({"weights": "a.pt"}, "weights: 'a.pt' - source 'brightness' does not take it"),
        ({"settings": LabelSettings()}, "source 'brightness' takes BrightnessSettings"),
        ({"batch_size": 0}, "batch_size: 0 - use at least 1"),
    ):
        with pytest.raises(InvalidSetting, match=message):
            label(painted, source="brightness", **wrong)
    with pytest.raises(InvalidSetting, match=r"use one of attention, yolov8, .*, brightness, or pass"):
        label(painted, source="darkness")
    assert painted.list_runs() == []


def test_a_source_for_images_that_keep_maps_labels_no_others(
    painted: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = replace(registry.source_of_maps(), name="only_maps", images=("painted",))
    monkeypatch.setattr(registry, "_sources", {only.name: only})
    label(painted, source="only_maps")
    assert painted.count("only_maps_instances") == len(painted)
    painted.set_values("attention_maps", [None, *painted.values("attention_maps")[1:]])
    with pytest.raises(DatasetError, match="1 of 4 images keep no heatmaps, and source 'only_maps' labels no others"):
        label(painted, source="only_maps")
