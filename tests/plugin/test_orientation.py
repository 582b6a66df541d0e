"""Photographs that their EXIF data turn: each verb has pixels and labels in the orientation that is shown.

The photograph is kept as 72 x 56 px and shown as 56 x 72 px. In what is shown a red door covers columns 6 to 27 and
rows 8 to 64, which is 21 x 56 = 1176 pixels, off the
centre, so that no other turn fits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import diffucurate as dc
from diffucurate.generator.files.thumbnails import thumbnail
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.painting.init_images import SEAM, grown
from diffucurate.plugin.curation.duplicates import near_duplicates
from diffucurate.plugin.store.media_files import read_image

SHAPE = (72, 56)
DOOR = np.s_[8:64, 6:27]

#: EXIF orientation -> what turns the pixels that are shown into those that are kept.
_KEPT = {1: lambda shown: shown, 3: lambda shown: np.rot90(shown, 2), 6: np.rot90, 8: lambda shown: np.rot90(shown, -1)}


def shown() -> NDArray[np.uint8]:
    pixels = np.full((*SHAPE, 3), 255, np.uint8)
    pixels[DOOR] = (200, 0, 0)
    return pixels


def door() -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, np.bool_)
    mask[DOOR] = True
    return mask


def photograph(path: Path, orientation: int) -> str:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(_KEPT[orientation](shown()))).save(path, exif=exif)
    return str(path)


@pytest.fixture(params=[3, 6, 8])
def turned(dataset: fo.Dataset, tmp_path: Path, request: pytest.FixtureRequest) -> fo.Dataset:
    """One photograph with a person's own label, relative to what is shown."""
    height, width = SHAPE
    box = [6 / width, 8 / height, 21 / width, 56 / height]
    truth = fo.Detection(label="door", bounding_box=box, mask=np.ones((56, 21), np.bool_))
    path = photograph(tmp_path / "photo.png", request.param)
    dataset.add_sample(fo.Sample(filepath=path, truth=fo.Detections(detections=[truth])))
    return dataset


class Red:
    """A label source of one's own: what is red is a door."""

    name = "red"

    def label(self, images: list[NDArray[np.uint8]]) -> list[Labels]:
        return [
            Labels.from_instances([Instance("door", image[..., 1] == 0, 0.9)], ("door",), image.shape[:2])
            for image in images
        ]


def test_labels_masks_and_comparisons_are_of_what_is_shown(turned: fo.Dataset) -> None:
    dc.label(turned, source=Red())
    sample = turned.first()
    assert np.array_equal(np.asarray(Image.open(sample.red_mask.mask_path)) == 1, door())
    (found,) = sample.red_instances.detections
    assert found.bounding_box == pytest.approx(sample.truth.detections[0].bounding_box)
    result = dc.compare(turned, "red", "truth")
    assert (result.overall.matched, result.overall.mean_iou, result.agreement) == (1, pytest.approx(1.0), 1.0)


def test_heatmaps_and_masks_of_attention_have_the_size_that_is_shown(turned: fo.Dataset, model_folder: str) -> None:
    dc.label(turned, source="attention", model=model_folder, classes=["door"])
    sample = turned.first()
    assert np.asarray(Image.open(sample.heatmap_door.map_path)).shape == SHAPE
    assert np.asarray(Image.open(sample.attention_mask.mask_path)).shape == SHAPE


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_exports_are_upright(turned: fo.Dataset, tmp_path: Path, format: str) -> None:
    dc.export(turned, tmp_path / "out", format=format, source="truth")
    with Image.open(tmp_path / "out/images/train/photo.png") as image:
        assert image.getexif().get(0x0112, 1) == 1 and np.array_equal(np.asarray(image.convert("RGB")), shown())
    if format == "yolo":
        _, *points = (tmp_path / "out/labels/train/photo.txt").read_text().split()
        outline = np.array(points, float).reshape(-1, 2) * (56, 72)
        assert np.allclose([*outline.min(axis=0), *outline.max(axis=0)], [6, 8, 27, 64], atol=0.05)


def test_variations_and_replaced_objects_start_from_what_is_shown(
    turned: fo.Dataset, model_folder: str, tmp_path: Path
) -> None:
    quick: dict[str, Any] = {"model": model_folder, "steps": 2, "classes": ["gate"]}
    made = []
    try:
        made += [dc.img2img(turned, prompt="a gate", carry="truth", save_as=f"{turned.name}-v", size=[56, 72], **quick)]
        (carried,) = made[0].first().carried_instances.detections
        assert read_image(made[0].first().filepath).shape[:2] == SHAPE
        assert carried.bounding_box == pytest.approx(turned.first().truth.detections[0].bounding_box)
        made += [dc.inpaint(turned, "truth", "a gate", margin=0, save_as=f"{turned.name}-i", size=[56, 72], **quick)]
        pixels = read_image(made[1].first().filepath)
        near = grown(door(), (SEAM + 2) / np.sqrt(door().sum()))
        assert np.array_equal(pixels[~near], shown()[~near]) and not np.array_equal(pixels[door()], shown()[door()])
    finally:
        for each in made:
            each.delete()


def test_tokens_are_learned_from_what_is_shown(
    turned: fo.Dataset, model_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffucurate.generator.attention.class_tokens import token_training

    asked: list[Any] = []
    learn_tokens = token_training.learn_tokens

    def noted(pipe: Any, images: Any, masks: Any, **rest: Any) -> Any:
        asked.extend([*images, *masks])
        return learn_tokens(pipe, images, masks, **rest)

    monkeypatch.setattr(token_training, "learn_tokens", noted)
    dc.learn_token(turned, "truth", model=model_folder, folder=tmp_path / "tokens")
    image, masks = asked
    assert np.array_equal(image, shown()) and list(masks) == ["door"] and np.array_equal(masks["door"], door())


def test_copies_that_are_turned_by_exif_data_or_by_pixels_are_near_each_other(
    dataset: fo.Dataset, tmp_path: Path
) -> None:
    paths = [photograph(tmp_path / f"{orientation}.png", orientation) for orientation in _KEPT]
    assert all(np.allclose(thumbnail(path), thumbnail(paths[0])) for path in paths[1:])
    dataset.add_samples([fo.Sample(filepath=path) for path in paths])
    ids = dataset.values("id")
    assert near_duplicates(dataset, ids, 0.001) == set(ids[1:])
