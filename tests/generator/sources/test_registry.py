"""What the registry lets in, and that nothing outside of it knows a source by its name."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import brightness
import pytest
from pydantic import Field

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.settings import LabelSettings, SourceSettings, YoloSettings
from diffucurate.generator.sources import Extra, registry
from diffucurate.generator.sources.spec import Workload

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_sources", dict(registry._sources))


def test_listing_sources_loads_none_of_them() -> None:
    code = (
        "import sys\nfrom diffucurate.generator.sources.registry import all_sources\n"
        "names = [spec.name for spec in all_sources()]\n"
        "heavy = {'numpy', 'torch', 'cv2', 'diffusers', 'ultralytics', 'fiftyone'} & set(sys.modules)\n"
        "known = ['attention', 'yolov8', 'mask2former', 'grounding', 'sam3', 'adapter']\n"
        "sys.exit(f'{names} {heavy}' if heavy or names != known else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sources_are_found_by_name() -> None:
    attention, yolov8, *others = registry.all_sources()
    assert registry.source_named("yolov8") is yolov8 and registry.find_source("truth") is None
    assert registry.source_of_maps() is attention
    assert [registry.keeps_maps(name) for name in ("attention", "yolov8", "truth")] == [True, False, False]
    assert [registry.title_of(name) for name in ("yolov8", "truth")] == ["YOLOv8", "Truth"]
    with pytest.raises(
        InvalidSetting,
        match=r"source: 'yolo' - use one of attention, yolov8, mask2former, grounding, sam3, adapter(, zoo)?, or",
    ):
        registry.source_named("yolo")
    registry.register(brightness.SPEC)
    assert registry.all_sources()[-1] is brightness.SPEC
    registry.unregister("brightness")
    registry.unregister("brightness")
    assert registry.all_sources() == (attention, yolov8, *others)


class Clash(SourceSettings):
    weights: float = Field(default=1.0, ge=0, le=1, description="Something else than yolov8 means by it.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "not a name"}, "letters, digits and underscores only"),
        ({"name": "_hidden"}, "letters, digits and underscores only"),
        ({"name": "yolov8"}, "there is a label source 'yolov8' already"),
        ({"images": ("painted", "any")}, "the class maps that images keep are those of 'attention'"),
        ({"settings": Clash}, "'weights' of 'brightness' is something else in 'yolov8'"),
    ],
)
def test_what_would_be_mistaken_for_another_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        registry.register(replace(brightness.SPEC, **change))


def test_sources_share_options_that_mean_the_same() -> None:
    registry.register(replace(brightness.SPEC, settings=LabelSettings, command_names={"floor": "threshold"}))
    assert {"threshold", "min_confidence"} <= registry.source_named("brightness").command_options().keys()


def test_a_source_says_what_it_needs_and_what_it_will_do() -> None:
    nothing = Extra("Nothing at all", "no_such_module", "nothing", "MIT")
    spec = replace(brightness.SPEC, extra=nothing)
    assert spec.missing == "Bright Spots needs Nothing at all (MIT): pip install 'diffucurate[nothing]'"
    assert registry.source_named("attention").missing is None
    attention, yolov8, *_ = registry.all_sources()
    assert [spec.scope for spec in (attention, yolov8, replace(attention, images=("painted",)))] == [
        "any image, from its heatmaps where it keeps some",
        "any image",
        "images that keep heatmaps",
    ]
    assert yolov8.what_happens(Workload(1, 1, {})) == "1 image is looked at by YOLOv8."
    assert attention.what_happens(Workload(3, 2, {"tokens": None})) == (
        "2 images keep their heatmaps: labels are made from those, nothing is painted. "
        "1 other is looked at by the built-in model."
    )
    assert attention.what_happens(Workload(2, 2, {"tokens": ["mine"], "refiner": "a/sam"})) == (
        "2 images are looked at by the model that the tokens were learned with. Learned tokens are used: mine. "
        "Outlines are redrawn by the model 'a/sam' where it agrees."
    )


def test_settings_are_made_and_checked_by_the_source() -> None:
    yolov8 = registry.source_named("yolov8")
    assert yolov8.make_settings({"min_confidence": 0.5}) == YoloSettings(min_confidence=0.5)
    with pytest.raises(InvalidSetting, match=r"settings\.min_confidence: 2 - it must be from 0 to 1"):
        yolov8.make_settings({"min_confidence": 2})
    with pytest.raises(InvalidSetting, match="source 'yolov8' takes YoloSettings"):
        yolov8.check({}, LabelSettings())
    with pytest.raises(InvalidSetting, match="model: 'tiny' - source 'yolov8' does not take it"):
        yolov8.check({"model": "tiny", "weights": "a.pt"}, None)


#: Where the name of a source stands as a word of something else, or is chosen by a person's command.
ALLOWED = {
    "generator/inversion/settings.py": "layers of a model that a LoRA changes",
    "operators/train_token.py": "the same",
}


def test_nothing_else_asks_for_a_source_by_its_name() -> None:
    names = {spec.name for spec in registry.all_sources()}
    asked = []
    for path in (path for top in ("generator", "plugin", "operators") for path in (ROOT / top).rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if place.startswith("generator/sources/") or place in ALLOWED:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = {ast.Dict: lambda node: node.keys, ast.Compare: ast.walk, ast.MatchValue: ast.walk}.get(type(node))
            if parts is not None and names & {getattr(part, "value", None) for part in parts(node)}:
                asked.append(f"{place}:{node.lineno}")
    assert asked == []
