"""Otsu's threshold against its definition and OpenCV's own; the others on maps whose right cut is known."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.guided_filter import GuidedFilter
from diffucurate.generator.labels.maps.thresholds import CANDIDATES, otsu, refinement_agreement, steepest

Map = NDArray[np.float32]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0, 1], 0.5),
        ([5, 1, 5, 1], 3.0),
        ([2, 2, 2], 2.0),  # nothing to split, nothing above
        ([7], 7.0),
        ([0, 1, 9, 10], 5.0),
        ([1e-9, 1e-9, 3e-9], 2e-9),  # any unit
    ],
)
def test_small_cases(values: list[float], expected: float) -> None:
    assert otsu(np.array(values)) == pytest.approx(expected)


def test_agrees_with_opencv_on_8_bit_maps() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        image = cv2.GaussianBlur(rng.integers(0, 256, (40, 50)).astype(np.uint8), (0, 0), 3)
        image[5:20, 5:25] //= 2
        reference, _ = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        assert np.array_equal(image > otsu(image.astype(np.float32)), image > reference)


def test_is_the_best_split_of_all() -> None:
    values = np.random.default_rng(1).gamma(1.0, size=60)

    def spread(threshold: float) -> float:
        low, high = values[values <= threshold], values[values > threshold]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    assert spread(otsu(values)) == pytest.approx(max(spread(value) for value in np.sort(values)[:-1]))


def test_sees_steps_that_8_bits_lose() -> None:
    values = np.where(np.arange(100) < 90, 0.5, 0.5001).astype(np.float32)
    values[0] = 0.0
    split = values[1:] > otsu(values[1:])
    assert split.sum() == 10


LOWEST, HIGHEST = 0.5, 0.9


def distance(side: int) -> Map:
    """From the middle, 0, to the nearest border, 1."""
    y, x = (np.mgrid[:side, :side] + 0.5) * 2 / side - 1
    return np.hypot(x, y).astype(np.float32)


def hill(top: float, bottom: float, side: int = 96) -> Map:
    """A map that falls from 1 slowly to ``top``, at half the radius steeply to ``bottom``, and slowly from there."""
    return np.interp(distance(side), [0, 0.45, 0.55, 1.5], [1, top, bottom, 0]).astype(np.float32)


@pytest.mark.parametrize("side", [48, 96, 512])
@pytest.mark.parametrize(("top", "bottom"), [(0.93, 0.77), (0.78, 0.62), (0.63, 0.52)])
def test_steepest_cuts_where_the_map_falls(top: float, bottom: float, side: int) -> None:
    found = steepest(hill(top, bottom, side), LOWEST, HIGHEST)
    assert bottom < found < top
    assert found in np.linspace(LOWEST, HIGHEST, CANDIDATES)


@pytest.mark.parametrize(
    ("heat", "expected"),
    [
        (np.full((20, 30), 0.7), HIGHEST),  # no outline at all
        (distance(64) / 4, HIGHEST),  # all of it below every threshold
        (0.95 + distance(64) / 40, HIGHEST),  # above
        (0.71 + 0.05 * (distance(64) < 0.5), 0.75),  # one threshold alone has an outline
        (np.tile(np.linspace(0, 1, 64), (64, 1)), LOWEST),  # equally steep everywhere: the widest
        (np.ones((1, 1)), HIGHEST),
    ],
)
def test_steepest_where_little_is_to_be_seen(heat: NDArray[np.float64], expected: float) -> None:
    assert steepest(heat.astype(np.float32), LOWEST, HIGHEST) == pytest.approx(expected)


@pytest.mark.parametrize("step", range(CANDIDATES))
def test_agreement_finds_the_mask_that_refinement_leaves(step: int) -> None:
    """Whatever the mask, refinement says the object is where the map is above one of the candidates."""
    heat = 1 - distance(64)
    right = np.linspace(0.2, 0.8, CANDIDATES)[step]
    assert refinement_agreement(heat, 0.2, 0.8, lambda mask: (heat > right).astype(np.float32)) == pytest.approx(right)


@pytest.mark.parametrize(
    ("top", "refine"),
    [
        (1.0, lambda mask: mask),  # every mask agrees with itself
        (1.0, np.zeros_like),  # none agrees at all
        (0.1, lambda mask: mask),  # every mask is empty
    ],
)
def test_of_equal_agreement_the_lowest_is_taken(top: float, refine: Callable[[Map], Map]) -> None:
    assert refinement_agreement(top * (1 - distance(32)).clip(0), LOWEST, HIGHEST, refine) == LOWEST


@pytest.mark.parametrize("radius", [0.3, 0.4, 0.5])
def test_agreement_with_an_image_finds_its_object(radius: float) -> None:
    """The map says only that it is hotter towards the middle; how large the object is, the image says."""
    disc = distance(96) < radius
    image = np.where(disc[..., None], (200, 40, 30), (90, 110, 120)).astype(np.uint8)
    heat = 1 - distance(96)
    found = heat > refinement_agreement(heat, 0.1, 0.9, GuidedFilter(image, 0.125, 1e-5).refine)
    assert np.count_nonzero(found & disc) / np.count_nonzero(found | disc) > 0.85
