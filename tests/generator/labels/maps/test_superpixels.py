"""An image falls into its areas of one colour, and each votes as a whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.superpixels import Superpixels


def scene(side: int, noise: float = 0.0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A disc on a ground and a sky, smoothed as renderers do it, and the disc's pixels."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    disc = np.hypot(x - 0.4, y - 0.5) < 0.2
    image = np.where((y < 0.45)[..., None], (150, 200, 240), (110, 110, 116)).astype(np.float32)
    image[disc] = (220, 40, 40)
    image = cv2.GaussianBlur(image, (0, 0), side / 200)
    image += np.random.default_rng(0).normal(0, noise * 255, image.shape)
    return image.clip(0, 255).astype(np.uint8), disc


@pytest.mark.parametrize(("side", "noise"), [(64, 0.0), (128, 0.0), (128, 0.005), (400, 0.0), (400, 0.02)])
def test_a_blurred_map_is_voted_into_the_object(side: int, noise: float) -> None:
    image, disc = scene(side, noise)
    regions = Superpixels(image)
    blurred = cv2.GaussianBlur(disc.astype(np.float32), (0, 0), 0.08 * side) + 0.05
    means = regions.means(blurred)
    everywhere = np.ones_like(disc)
    right = regions.vote_iou(disc, everywhere, means)
    spilt = regions.vote_iou(blurred > 0.2, everywhere, means)
    missed = regions.vote_iou(blurred > 0.8, everywhere, means)
    assert right > 0.85
    assert spilt < right - 0.1 and missed < right - 0.1


def test_an_outline_on_the_image_s_edges_is_told_from_one_beside_them() -> None:
    image, disc = scene(128)
    regions = Superpixels(image)
    smaller = cv2.erode(disc.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool)
    assert regions.outlined(disc) > 0.9 > 0.2 > regions.outlined(smaller)
    assert regions.outlined(np.ones_like(disc)) == 1.0, "an object that fills the image has no outline"


@pytest.mark.parametrize(
    "image",
    [
        np.full((40, 60, 3), 90, np.uint8),
        np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((3, 900, 3), np.uint8),
    ],
)
def test_any_image_has_regions(image: NDArray[np.uint8]) -> None:
    regions = Superpixels(image)
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[: 1 + mask.shape[0] // 2, : 1 + mask.shape[1] // 2] = True
    means = regions.means(mask.astype(np.float32))
    assert means.min() >= 0 and means.max() <= 1
    assert 0 <= regions.vote_iou(mask, np.ones_like(mask), means) <= 1
    assert 0 <= regions.outlined(mask) <= 1


def test_what_the_grid_cannot_show_is_not_agreed_with() -> None:
    image, _ = scene(400)
    speck = np.zeros((400, 400), np.bool_)
    speck[200, 200] = True
    regions = Superpixels(image)
    assert regions.vote_iou(speck, np.ones_like(speck), regions.means(speck.astype(np.float32))) == 0
