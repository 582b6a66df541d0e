"""Labelling writes below the dataset's own folder only, and removes no file that is anybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.store.media_files import write_maps, write_png
from diffucurate.plugin.store.media_folder import media_folder


class LeftHalf:
    """A label source of one's own: the left half of every image is a car."""

    name = "truth"

    def label(self, images):
        return [self._labels(image.shape[:2]) for image in images]

    def _labels(self, shape: tuple[int, int]) -> Labels:
        mask = np.zeros(shape, np.bool_)
        mask[:, : shape[1] // 2] = True
        return Labels.from_instances([Instance("car", mask, 0.5)], ("car",), shape)


@pytest.fixture
def photographs(dataset, scenes: list[Scene], tmp_path: Path) -> fo.Dataset:
    for index, scene in enumerate(scenes[:3]):
        dataset.add_sample(fo.Sample(filepath=str(write_png(tmp_path / "photos" / f"{index}.png", scene.image))))
    return dataset


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder with a document of somebody's."""
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "thesis.png").write_bytes(b"years of work")
    yield tmp_path / "documents"
    assert [path.name for path in (tmp_path / "documents").iterdir()] == ["thesis.png"]
    assert (tmp_path / "documents" / "thesis.png").read_bytes() == b"years of work"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_labels_of_a_clone_leave_the_originals_files(photographs: fo.Dataset) -> None:
    label(photographs, source=LeftHalf())
    photographs.set_values("prompt", ["a car"] * 3)
    maps = write_maps(media_folder(photographs) / "maps" / "a.safetensors", {"car": np.ones((4, 4), np.float32)})
    photographs.set_values("attention_maps", [str(maps)] * 3)
    before = contents(media_folder(photographs))
    copy = photographs.clone()
    try:
        label(copy, source=LeftHalf())
        label(copy, source="attention", contrast=True, model="tiny")  # which replaces kept maps
        label(copy, source=LeftHalf())
        assert contents(media_folder(photographs)) == before
        own = media_folder(copy)
        assert all(Path(path).is_relative_to(own) for path in copy.values("truth_mask.mask_path"))
        assert len(list((own / "truth_mask").iterdir())) == 3  # its own old ones are gone
    finally:
        copy.delete()
    label(photographs, source=LeftHalf())
    assert len(list((media_folder(photographs) / "truth_mask").iterdir())) == 3


def test_files_that_another_dataset_names_stay_when_the_original_is_labelled(photographs: fo.Dataset) -> None:
    label(photographs, source=LeftHalf())
    copy = photographs.clone()
    try:
        label(photographs, source=LeftHalf())
        assert all(Path(path).is_file() for path in copy.values("truth_mask.mask_path"))
    finally:
        copy.delete()


def test_two_samples_that_share_a_file_keep_it(photographs: fo.Dataset) -> None:
    label(photographs, source=LeftHalf())
    shared = photographs.first().truth_mask.mask_path
    photographs.set_values("truth_mask", [fo.Segmentation(mask_path=shared)] * 3)
    label(photographs.limit(1), source=LeftHalf())
    assert Path(shared).is_file()


def test_an_imported_dataset_removes_and_writes_nothing_elsewhere(
    photographs: fo.Dataset, elsewhere: Path, tmp_path: Path
) -> None:
    """What a received dataset may say: a media folder, mask paths, job ids and a class list that are anything."""
    label(photographs, source=LeftHalf())
    photographs.info["diffucurate"]["media_folder"] = str(elsewhere)
    photographs.save()
    photographs.add_sample_field("job_id", fo.StringField)
    photographs.set_values("job_id", ["../../../../evil", "a/b", "a/b"])
    own = fo.Segmentation(mask_path=str(elsewhere / "thesis.png"))
    image = fo.Segmentation(mask_path=photographs.first().filepath)
    around = fo.Segmentation(mask_path=f"{elsewhere}/../documents/thesis.png")
    photographs.set_values("truth_mask", [own, image, around])
    photographs.export(str(tmp_path / "sent"), fo.types.FiftyOneDataset, export_media=False)
    received = fo.Dataset.from_dir(str(tmp_path / "sent"), fo.types.FiftyOneDataset)
    try:
        before = contents(tmp_path)
        for _ in range(2):
            label(received, source=LeftHalf())
        own = media_folder(received)
        after = {path: content for path, content in contents(tmp_path).items() if not path.is_relative_to(own)}
        assert after == before
        masks = received.values("truth_mask.mask_path")
        assert len(set(masks)) == 3 and all(Path(path).parent == own / "truth_mask" for path in masks)
    finally:
        received.delete()


def test_an_image_that_a_mask_is_said_to_be_stays(photographs: fo.Dataset) -> None:
    """Painted images lie in the dataset's own folder, where old masks are removed."""
    folder = media_folder(photographs)
    images = [write_png(folder / "images" / f"{index}.png", np.zeros((8, 8, 3), np.uint8)) for index in range(3)]
    photographs.set_values("filepath", [str(path) for path in images])
    label(photographs, source=LeftHalf())
    photographs.set_values("truth_mask", [fo.Segmentation(mask_path=str(path)) for path in images])
    label(photographs, source=LeftHalf())
    assert all(path.is_file() for path in images)
