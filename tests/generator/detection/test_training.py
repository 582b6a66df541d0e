"""Training of heads: that they learn, go on where they stopped to the same end, and are loaded without pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffucurate.generator.detection import adapter as adapters
from diffucurate.generator.detection import training
from diffucurate.generator.detection.files import AdapterFiles, read_config
from diffucurate.generator.detection.settings import AdapterSettings
from diffucurate.generator.detection.views import Lesson
from diffucurate.generator.errors import ImageError, InvalidSetting, ModelError
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.progress import Progress
from diffucurate.generator.sources.adapter_source import AdapterSource
from diffucurate.generator.sources.registry import find_source

SETTINGS = AdapterSettings(steps=120, batch_size=4, width=16, learning_rate=5e-3, zoom=1.1)


class PixelReader:
    """Stands for a diffusion model: its features are the colours of the image, coarse."""

    def __init__(self, pipe: Any = None, noise: float = 0.1) -> None:
        self.side, self.device = 32, torch.device("cpu")

    def read(self, images: list[np.ndarray]) -> list[torch.Tensor]:
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        return [torch.nn.functional.interpolate(pixels, (side, side), mode="area") for side in (4, 8)]


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (training, adapters):
        monkeypatch.setattr(module, "FeatureReader", PixelReader)
    monkeypatch.setattr(adapters, "load_pipeline", lambda *_: None)


def lessons(count: int, seed: int = 0) -> list[Lesson]:
    """A red or a blue square on grey each."""
    made = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        image = np.full((32, 32, 3), 120, np.uint8)
        x, y = rng.integers(0, 20, 2)
        mask = np.zeros((32, 32), np.bool_)
        mask[y : y + 12, x : x + 12] = True
        label = ("red", "blue")[index % 2]
        image[mask] = (230, 20, 20) if label == "red" else (20, 20, 230)
        made.append(Lesson(image, [Instance(label, mask, 1.0)]))
    return made


def train(folder: Path, **more: Any) -> Any:
    files = AdapterFiles.of("squares", folder)
    settings = more.pop("settings", SETTINGS)
    return training.train_adapter(
        None, lessons(16), lessons(8, 1), ["red", "blue"], settings, files, model="tiny", data="d", **more
    )


def test_it_learns_and_labels(tmp_path: Path) -> None:
    trained = train(tmp_path)
    assert trained.map50 > 0.8 and set(trained.precision) == {"red", "blue"}
    assert trained.curves["loss"][0] > 2 * trained.curves["loss"][-1] and trained.curves["step"][-1] == 120
    config = json.loads(trained.files.config.read_text())
    assert (config["model"], config["classes"], config["masks"]) == ("tiny", ["red", "blue"], True)
    source = AdapterSource(["blue"], trained.weights)
    assert source.unmapped == ("red",) and source.unseen == ()
    shown = [lesson.image for lesson in lessons(8, 2)]
    labels = source.label(shown)
    assert sum(bool(each.instances) for each in labels[1::2]) >= 3
    assert sum(len(each.instances) for each in labels[::2]) <= 1
    assert labels[1].classes == ("blue",) and labels[1].semantic.shape == (32, 32)


def test_a_stopped_run_ends_in_the_same_head(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")

    def stop(progress: Progress) -> None:
        if progress.done == 110:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", progress=stop)
    steps: list[int] = []
    again = train(tmp_path / "stopped", progress=lambda progress: steps.append(progress.done))
    assert steps[0] == 101 and again.weights.read_bytes() == whole.weights.read_bytes()
    assert again.curves == whole.curves


def test_boxes_alone_are_learned_as_boxes(tmp_path: Path) -> None:
    boxed = [
        Lesson(each.image, [Instance(one.label, one.mask, 1.0, boxed=True) for one in each.instances])
        for each in lessons(8)
    ]
    files = AdapterFiles.of("boxes", tmp_path)
    settings = SETTINGS.changed(steps=20)
    training.train_adapter(None, boxed, boxed[:2], ["red", "blue"], settings, files, model="tiny")
    adapter = adapters.load_adapter(files.weights)
    found = adapter.find([boxed[0].image], min_confidence=0.0, max_overlap=0.6)[0]
    assert read_config(files.weights)["masks"] is False and found and all(each.boxed for each in found)


def test_images_without_objects_only(tmp_path: Path) -> None:
    empty = [Lesson(np.zeros((32, 32, 3), np.uint8), [])] * 4
    with pytest.raises(ImageError, match="has an object"):
        training.train_adapter(None, empty, empty, ["red"], SETTINGS, AdapterFiles.of("x", tmp_path), model="tiny")


def test_broken_files(tmp_path: Path) -> None:
    spec = find_source("adapter")
    assert spec is not None
    trained = train(tmp_path, settings=SETTINGS.changed(steps=2))
    with pytest.raises(ModelError, match="no file of an adapter"):
        spec.check({"weights": str(tmp_path / "none.safetensors")}, None)
    with pytest.raises(InvalidSetting, match="train an adapter first"):
        spec.check({}, None)
    config = json.loads(trained.files.config.read_text())
    trained.files.config.write_text(json.dumps({**config, "width": 24}))
    with pytest.raises(ModelError, match="does not fit"):
        adapters.load_adapter(trained.weights)
    for broken in ({**config, "noise": "little"}, {key: config[key] for key in config if key != "noise"}):
        trained.files.config.write_text(json.dumps(broken))
        with pytest.raises(ModelError, match="does not say noise"):
            spec.check({"weights": str(trained.weights)}, None)
    trained.files.config.unlink()
    with pytest.raises(ModelError, match="no config"):
        read_config(trained.weights)


@pytest.mark.parametrize("change", [{"noise": 0.0}, {"noise": 1.0}, {"steps": 0}, {"val": 1.0}, {"zoom": 0.5}])
def test_settings_out_of_range(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match=next(iter(change))):
        AdapterSettings(**change)
