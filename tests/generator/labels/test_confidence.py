"""The confidence falls as a blob gets fainter, blurrier, more ragged or strewn, and where the image speaks against."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.confidence import WEIGHTS, confidences, signs
from diffucurate.generator.labels.maps.superpixels import Superpixels

Y, X = np.mgrid[:96, :96] + 0.5
DISC = np.hypot(X - 48, Y - 48) < 20


def heat(mask: NDArray[np.bool_], *, level: float = 1.0, blur: float = 2.0) -> NDArray[np.float32]:
    """A map with a background of 0.2 and a blob of ``level`` above it."""
    return 0.2 + level * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), blur)


def falls(values: list[float]) -> bool:
    return all(0 <= later < earlier <= 1 for earlier, later in itertools.pairwise(values))


def test_fainter_is_lower() -> None:
    assert falls([confidences([DISC], heat(DISC, level=level))[0] for level in (2.0, 1.0, 0.5, 0.1, 0.01)])


def test_blurrier_is_lower() -> None:
    assert falls([confidences([DISC], heat(DISC, blur=blur))[0] for blur in (1, 3, 6, 12, 24)])


def test_ragged_is_lower() -> None:
    def ragged(depth: float) -> NDArray[np.bool_]:
        return np.hypot(X - 48, Y - 48) < 20 + depth * np.sin(14 * np.arctan2(Y - 48, X - 48))

    assert falls([confidences([mask], heat(mask, blur=1))[0] for mask in (ragged(depth) for depth in (0, 3, 6, 9))])


def test_strewn_heat_is_lower() -> None:
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.random((96, 96)).astype(np.float32), (0, 0), 2)
    noise = np.abs(noise - noise.mean()) / noise.std()
    assert falls([confidences([DISC], heat(DISC) + level * noise)[0] for level in (0.0, 0.1, 0.2, 0.4)])


def painted(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """An image in which the object has a colour of its own."""
    return np.where(mask[..., None], (200, 40, 30), (90, 95, 100)).astype(np.uint8)


def test_an_outline_off_the_image_s_edges_is_lower() -> None:
    regions = Superpixels(painted(DISC))
    shifted = [np.roll(DISC, shift, axis=1) for shift in (0, 4, 8, 16)]
    outlines = [signs([mask], heat(DISC), None, regions)[0]["outline"] for mask in shifted]
    assert outlines[0] > 0.9 and falls([*outlines[:1], outlines[2]])
    assert falls([confidences([mask], heat(DISC), None, regions)[0] for mask in shifted])


def test_regions_that_disagree_are_lower() -> None:
    """Half of the object was left out: the regions still see all of it."""
    regions, half = Superpixels(painted(DISC)), DISC & (X < 48)
    found = [signs([mask], heat(DISC), None, regions)[0]["regions"] for mask in (DISC, half)]
    assert found[0] > 0.9 and 0.4 < found[1] < 0.6


@pytest.mark.parametrize(
    ("inside", "outside", "step"),
    [(0.6, 0.2, 0.5), (0.9, 0.1, 0.8), (0.5, 0.5, 0.0), (0.2, 0.6, 0.0), (0.3, 0.0, 1.0), (0.0, 0.0, 0.0)],
)
def test_step_is_the_difference_of_both_sides_by_their_sum(inside: float, outside: float, step: float) -> None:
    """By hand: (0.6 - 0.2) / (0.6 + 0.2) = 0.5; an object that is no hotter than its rim has no step."""
    two_levels = np.where(DISC, inside, outside).astype(np.float32)
    assert signs([DISC], two_levels)[0]["step"] == pytest.approx(step, abs=1e-6)


def test_a_slow_slope_is_less_stable() -> None:
    """By hand: along the outline of the disc of 20 the heat is 0.5; it passes 0.575 and 0.4 so far from there."""
    for slope in (0.02, 0.01, 0.005):
        cone = np.maximum(0.5 + slope * (20 - np.hypot(X - 48, Y - 48)), 0).astype(np.float32)
        inner, outer = 20 - 0.075 / slope, min(20 + 0.1 / slope, 20 + 0.65 * 20 * np.pi**0.5)
        (found,) = signs([DISC], cone)
        assert found["stability"] == pytest.approx((inner / outer) ** 2, abs=0.03)


def test_convexity_is_the_hull_s_outline_by_its_own() -> None:
    square = np.maximum(abs(X - 48), abs(Y - 48)) < 20
    cross = square & (np.minimum(abs(X - 48), abs(Y - 48)) < 4)
    found = [signs([mask], heat(mask))[0]["convexity"] for mask in (square, cross)]
    assert found[0] == pytest.approx(1) and found[1] == pytest.approx((4 * 7 + 4 * 32 * 2**-0.5) / (4 * 39), abs=0.03)


def test_an_afterthought_ranks_behind() -> None:
    small = np.hypot(X - 85, Y - 85) < 8
    both = heat(DISC) + 0.5 * (heat(small) - 0.2)
    first, second = confidences([DISC, small], both)
    assert second < 0.95 * first


def test_two_alike_are_rated_alike() -> None:
    left = np.hypot(X - 24, Y - 48) < 16
    right = np.hypot(X - 72, Y - 48) < 16
    pair = confidences([left, right], heat(left | right))
    assert pair[0] == pytest.approx(pair[1], rel=1e-3)


def test_the_unit_of_the_map_does_not_matter() -> None:
    assert confidences([DISC], 1e-4 * heat(DISC))[0] == pytest.approx(confidences([DISC], heat(DISC))[0], rel=1e-4)


@pytest.mark.parametrize(
    ("mask", "values"),
    [
        (DISC, np.ones((96, 96), np.float32)),  # no signal
        (DISC, np.zeros((96, 96), np.float32)),
        (np.ones((96, 96), np.bool_), heat(DISC)),  # no outside
        (DISC, heat(~DISC)),  # colder inside than outside
        (np.eye(96, dtype=np.bool_), heat(DISC)),
    ],
)
def test_stays_within_bounds(mask: NDArray[np.bool_], values: NDArray[np.float32]) -> None:
    for regions, named in ((None, set(WEIGHTS) - {"regions", "outline"}), (Superpixels(painted(DISC)), set(WEIGHTS))):
        (found,) = signs([mask], values, None, regions)
        assert found.keys() == named
        assert all(0 <= value <= 1 for value in found.values())
        assert 0 <= confidences([mask], values, None, regions)[0] <= 1


def test_no_objects_no_confidences() -> None:
    assert confidences([], heat(DISC)) == []
