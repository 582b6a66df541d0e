"""Datasets of rendered scenes, whose labels are known to the pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from painted_once import PaintedOnce

from diffucurate.generator.labels.model import Labels
from diffucurate.generator.tiny.scenes import Scene, real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.fixture(scope="session")
def scenes() -> list[Scene]:
    return real_scenes(6, seed=11)


@pytest.fixture(scope="session")
def fill() -> Callable[..., None]:
    """Adds scenes with the Labels of some sources: ``fill(dataset, folder, scenes, truth=[...])``."""
    from diffucurate.plugin.store.classes import extend_classes
    from diffucurate.plugin.store.label_values import label_fields
    from diffucurate.plugin.store.media_files import write_png
    from diffucurate.plugin.store.schema import declare_label_fields

    def fill(dataset: fo.Dataset, folder: Path, scenes: Sequence[Scene], **sources: Sequence[Labels | None]) -> None:
        import fiftyone as fo

        classes = extend_classes(dataset, {name: [name] for name in CLASSES})
        for source in sources:
            declare_label_fields(dataset, source, classes)
        samples = []
        for index, scene in enumerate(scenes):
            values = {}
            for source, labels in sources.items():
                if labels[index] is not None:
                    path = write_png(folder / source / f"{index}.png", labels[index].semantic)
                    values |= label_fields(source, labels[index], str(path))
            image = write_png(folder / "images" / f"{index}.png", scene.image)
            samples.append(fo.Sample(filepath=str(image), prompt=scene.caption, **values))
        dataset.add_samples(samples)

    return fill


@pytest.fixture
def add_scenes(dataset: fo.Dataset, fill: Callable[..., None], tmp_path: Path) -> Callable[..., None]:
    """``fill`` for the test's own dataset and folder."""
    return partial(fill, dataset, tmp_path)


@pytest.fixture(scope="session")
def segmenter_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained Segment Anything model, saved as a folder: its masks fit the images and mean nothing."""
    from untrained_segmenters import save_sam

    return str(save_sam(tmp_path_factory.mktemp("segmenter")))


@pytest.fixture(scope="session")
def generated_once(model_folder: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaintedOnce]:
    recipe = {
        "dataset": "generated",
        "model": model_folder,
        "size": [64, 64],
        "steps": 1,
        "seeds": 2,
        "classes": {"car": ["car", "sedan"], "bus": ["bus"]},
        "templates": ["a {colour} {object} at {time=noon}"],
        "attributes": {"object": ["car", "bus"], "colour": ["red"]},
    }
    once = PaintedOnce(recipe, tmp_path_factory.mktemp("generated"))
    yield once
    once.delete()


@pytest.fixture
def generated(generated_once: PaintedOnce) -> Iterator[fo.Dataset]:
    """Four painted images of noise: a car and a bus at noon, by template and attribute, each with two seeds."""
    with generated_once.copy() as dataset:
        yield dataset
