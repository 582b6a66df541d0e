"""An adapter trained on a dataset's labels, and its own labels of other images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

import diffucurate as dc
from diffucurate.generator.errors import DatasetError, ExportError, InvalidSetting, ModelError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.detection.train import train_adapter

QUICK: dict[str, Any] = {"steps": 3, "batch_size": 2, "width": 16, "val": 0.3}


@pytest.fixture
def truth(add_scenes: Callable[..., None], dataset: fo.Dataset, scenes: list[Any]) -> fo.Dataset:
    exact = [
        Labels.from_instances([Instance(each.label, each.mask, 1.0) for each in scene.objects], CLASSES, (128, 128))
        for scene in scenes
    ]
    add_scenes(scenes, truth=exact)
    return dataset


def test_an_adapter_labels_by_its_source(truth: fo.Dataset, model_folder: str, tmp_path: Path) -> None:
    trained = train_adapter(truth, "truth", model=model_folder, folder=tmp_path, name="few", **QUICK)
    assert trained.weights == tmp_path / "few" / "few.safetensors" and trained.steps == 3
    run = truth.get_run_info(truth.list_runs(method="diffucurate/train_adapter")[0]).config
    assert run.facts["images"] == {"train": 4, "val": 2} and run.status == "done"
    settings = dc.AdapterLabelSettings(min_confidence=0.0)
    dc.label(truth, source="adapter", weights=str(trained.weights), settings=settings)
    assert truth.count("adapter_instances") == truth.count("adapter_mask") == 6
    with pytest.raises(InvalidSetting, match="an adapter of that name is there"):
        train_adapter(truth, "truth", model=model_folder, folder=tmp_path, name="few", **QUICK)
    again = train_adapter(truth, "truth", model=model_folder, folder=tmp_path, name="few", overwrite=True, **QUICK)
    assert again.precision == trained.precision


def test_images_and_labels_come_together(truth: fo.Dataset, model_folder: str, tmp_path: Path) -> None:
    trained = train_adapter(truth, "truth", model=model_folder, folder=tmp_path, name="few", **QUICK)
    recipe = {
        "dataset": "painted-with-adapter",
        "model": model_folder,
        "steps": 2,
        "adapter": str(trained.weights),
        "classes": {"car": ["car"]},
        "templates": ["a car"],
        "seeds": 2,
    }
    try:
        painted = dc.generate(recipe)
        assert painted.count("adapter_instances") == painted.count("attention_instances") == 2
        assert set(painted.distinct("adapter_instances.detections.label")) <= {"car"}
        plain = dc.Recipe.from_mapping({**recipe, "adapter": None})
        assert plain.fingerprint() != dc.Recipe.from_mapping(recipe).fingerprint()
        assert dc.generate(plain).count() == 2  # the same jobs, whoever labels them
    finally:
        fo.delete_dataset("painted-with-adapter")
    with pytest.raises(dc.RecipeError, match="reads the features of model"):
        dc.generate({**recipe, "model": "tiny"})
    with pytest.raises(dc.RecipeError, match="not at regions"):
        dc.generate({**recipe, "task": "canvas", "canvas": {"regions": 2}, "templates": ["a car"]})
    with pytest.raises(ModelError, match="no file of an adapter"):
        dc.generate({**recipe, "adapter": "/nowhere/a.safetensors"})
    assert not fo.dataset_exists("painted-with-adapter")


def test_polylines_are_learned_from_too(truth: fo.Dataset, model_folder: str, tmp_path: Path) -> None:
    for sample in truth:
        sample["lines"] = sample.truth_polygons.copy()
        sample.save()
    trained = train_adapter(truth, "lines", model=model_folder, folder=tmp_path, classes=["car", "tree"], **QUICK)
    assert set(trained.precision) <= {"car", "tree"}


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"source": "none"}, DatasetError, "none"),
        ({"classes": ["piano"]}, InvalidSetting, "no such class"),
        ({"width": 12}, InvalidSetting, "multiple of 8"),
        ({"val": 0.01}, ExportError, "gets none"),
        ({"model": "/nowhere/model"}, ModelError, "/nowhere/model"),
        ({"noise": 2.0}, InvalidSetting, "noise"),
    ],
)
def test_bad_input(
    truth: fo.Dataset, tmp_path: Path, settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    source = settings.pop("source", "truth")
    with pytest.raises(error, match=words):
        train_adapter(truth, source, folder=tmp_path, **{**QUICK, **settings})
    assert not truth.list_runs(method="diffucurate/train_adapter")
