"""Copies are found, whatever they went through on the way; different images are not taken for copies."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.files.thumbnails import LENGTH, thumbnail
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.curation.curate import curate
from diffucurate.plugin.curation.duplicates import THUMBNAIL_DISTANCE, exact_duplicates, near_duplicates


def compressed(image: Image.Image) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=50)
    return Image.open(content)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "the same": lambda image: image,
    "compressed": compressed,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.03),
    "palette": lambda image: image.quantize(64),
}


@pytest.fixture
def pictures(dataset: fo.Dataset, scenes: list[Scene], tmp_path: Path) -> fo.Dataset:
    """Four scenes, then copies of the first."""
    originals = [Image.fromarray(scene.image) for scene in scenes[:4]]
    images = [*originals, *(change(originals[0]) for change in COPIES.values())]
    for index, image in enumerate(images):
        image.save(tmp_path / f"{index}.png")
    found = [
        fo.Detection(label="car", bounding_box=[0, 0, 1, 1], confidence=index / 16) for index in range(len(images))
    ]
    dataset.add_samples(
        [
            fo.Sample(str(tmp_path / f"{index}.png"), one_instances=fo.Detections(detections=[one]))
            for index, one in enumerate(found)
        ]
    )
    return dataset


def test_distance_is_a_difference_in_colour(tmp_path: Path) -> None:
    for name, colour in {"black": 0, "grey": 51, "white": 255}.items():
        Image.new("RGB", (50, 30), (colour,) * 3).save(tmp_path / f"{name}.png")
    black, grey, white = (thumbnail(tmp_path / f"{name}.png") for name in ("black", "grey", "white"))
    assert (black.shape, black.dtype) == ((LENGTH,), np.float32)
    assert np.linalg.norm(white - black) == pytest.approx(1)
    assert np.linalg.norm(grey - black) == pytest.approx(0.2)


def test_every_copy_is_near_its_original_and_every_other_scene_is_not(pictures: fo.Dataset) -> None:
    vectors = [thumbnail(path) for path in pictures.values("filepath")]
    copies = {
        name: float(np.linalg.norm(vectors[0] - vector)) for name, vector in zip(COPIES, vectors[4:], strict=True)
    }
    assert max(copies.values()) < THUMBNAIL_DISTANCE, copies
    assert min(np.linalg.norm(vectors[0] - vector) for vector in vectors[1:4]) > 2 * THUMBNAIL_DISTANCE


def test_the_first_of_each_group_stays(pictures: fo.Dataset) -> None:
    ids, reports = pictures.values("id"), []
    assert near_duplicates(pictures, ids, 0.03, progress=reports.append) == set(ids[4:])
    assert near_duplicates(pictures, ids[::-1], 0.03) == {ids[0], *ids[4:-1]}
    assert exact_duplicates(pictures, ids) == {ids[4]}
    assert exact_duplicates(pictures, ids[::-1]) == {ids[0]}
    assert [report.done for report in reports] == list(range(1, 10))
    assert near_duplicates(pictures, ids[:1], 0.03) == set()


def test_all_alike_leave_one(pictures: fo.Dataset) -> None:
    """The distance is the same whatever else there is, so the whole set may be copies."""
    ids = pictures.values("id")
    alike = [ids[0], *ids[4:]]
    assert near_duplicates(pictures, alike, 0.03) == set(alike[1:])


def test_curate_keeps_the_best_copy(pictures: fo.Dataset) -> None:
    ids = pictures.values("id")
    kept = curate(pictures, source="one", near_duplicates=True)
    assert set(kept.values("id")) == {*ids[1:4], ids[-1]}  # the last is the surest
    assert set(curate(pictures, source="one", exact_duplicates=True).values("id")) == set(ids) - {ids[0]}
    assert curate(pictures, source="one", near_duplicates=True, max_per_class=2).values("id") == [ids[3], ids[-1]]
    facts = pictures.get_run_info(max(pictures.list_runs())).config.facts
    assert facts["ranked_by"] == "confidence"


def test_images_that_cannot_be_read_stay(pictures: fo.Dataset, caplog: pytest.LogCaptureFixture) -> None:
    ids, paths = pictures.values(["id", "filepath"])
    Path(paths[4]).unlink()
    Path(paths[5]).write_bytes(b"no image")
    assert near_duplicates(pictures, ids, 0.03) == set(ids[6:])
    assert "2 images cannot be read" in caplog.text
    assert exact_duplicates(pictures, ids) == set()


def test_embeddings_that_the_dataset_holds(pictures: fo.Dataset) -> None:
    import fiftyone.brain as fob

    ids = pictures.values("id")
    angles = np.radians([0, 90, 180, 270, 1, 91, 45, 135, 225])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    pictures.set_values("embedding", [*vectors[:-1], None])
    fob.compute_similarity(pictures, embeddings=vectors, brain_key="alike", backend="sklearn")
    assert near_duplicates(pictures, ids, 0.05, "embedding") == {ids[4], ids[5]}
    assert near_duplicates(pictures, ids[::-1], 0.05, "alike") == {ids[0], ids[1]}
    with pytest.raises(InvalidSetting, match=r"embeddings: 'clip' - .* no such embeddings; there are alike, embedding"):
        near_duplicates(pictures, ids, 0.05, "clip")
    pictures.set_values("embedding", [np.ones(2 + index % 2) for index in range(9)])
    with pytest.raises(InvalidSetting, match="of different lengths"):
        near_duplicates(pictures, ids, 0.05, "embedding")
