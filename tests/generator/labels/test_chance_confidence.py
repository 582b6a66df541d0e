"""The confidence by chances: its signs by hand, and that it falls with doubt."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.chance_confidence import (
    MAP_IS_RIGHT,
    OBJECT_IS_RIGHT,
    chance_confidences,
    confidence,
    signs,
)

Y, X = np.mgrid[:96, :96]
SQUARE = (X >= 40) & (X < 60) & (Y >= 40) & (Y < 60)
HEAT = np.where(SQUARE, 1, 0.2).astype(np.float32)


def log_odds(chance: float) -> float:
    return math.log(chance / (1 - chance))


def levels(inside: float, outside: float) -> NDArray[np.float32]:
    return np.where(SQUARE, inside, outside).astype(np.float32)


def test_the_signs_by_hand() -> None:
    chances = levels(0.9, 0.0)
    chances[30:40, 40:60] = 0.3  # 200 pixels above the square of 400, within its surroundings
    (found,) = signs([SQUARE], chances, HEAT)
    assert found["expected_iou"] == pytest.approx(log_odds(360 / (400 + 60)), abs=1e-4)
    # The rim is 2.4 pixels wide: two rows above of the square's length, and a few pixels around the corners.
    assert log_odds(0.3 * 0.2) < found["rim"] < log_odds(0.3 * 0.3)
    assert found["peak"] == found["share"] == 1
    assert found["mean_chance"] == pytest.approx(0.9)
    assert found["doubt"] == pytest.approx((400 * 0.1 + 200 * 0.3) / (400 * 0.9 + 200 * 0.3))


def test_the_peak_is_a_share_of_the_class_s() -> None:
    other = (X < 12) & (Y < 12)
    heat = np.where(other, 0.6, HEAT).astype(np.float32)
    found = signs([SQUARE, other], levels(0.9, 0.1), heat)
    assert [each["peak"] for each in found] == pytest.approx([1, (0.6 - 0.2) / (1 - 0.2)])
    assert [each["share"] for each in found] == pytest.approx([400 / 544, 144 / 544])


def test_what_other_objects_cover_is_no_doubt_of_the_first_but_of_its_outline() -> None:
    beside = (X >= 60) & (X < 80) & (Y >= 40) & (Y < 60)
    chances = np.where(SQUARE | beside, 0.9, 0.02).astype(np.float32)
    alone, (both, _) = signs([SQUARE], levels(0.9, 0.02), HEAT)[0], signs([SQUARE, beside], chances, HEAT)
    assert both["expected_iou"] == pytest.approx(alone["expected_iou"], abs=0.05)
    assert both["rim"] > alone["rim"] + 1


@pytest.mark.parametrize(
    "chances",
    [
        [levels(inside, 0.02) for inside in (0.95, 0.8, 0.6, 0.4)],
        [levels(0.95, outside) for outside in (0.03, 0.1, 0.2, 0.4)],
        [cv2.GaussianBlur(levels(0.98, 0.02), (0, 0), blur) for blur in (1, 3, 6, 12)],
    ],
)
def test_it_falls_with_doubt(chances: list[NDArray[np.float32]]) -> None:
    values = [chance_confidences([SQUARE], each, HEAT)[0] for each in chances]
    assert all(0 < later < earlier < 1 for earlier, later in itertools.pairwise(values))


def test_it_is_the_chance_of_the_map_times_that_of_the_object() -> None:
    (found,), (value,) = (
        signs([SQUARE], levels(0.8, 0.1), HEAT),
        chance_confidences([SQUARE], levels(0.8, 0.1), HEAT),
    )
    of_map, of_object = (
        1 / (1 + math.exp(-(each.bias + sum(weight * found[name] for name, weight in each.signs.items()))))
        for each in (MAP_IS_RIGHT, OBJECT_IS_RIGHT)
    )
    assert set(found) == {*MAP_IS_RIGHT.signs, *OBJECT_IS_RIGHT.signs}
    assert value == confidence(found) == pytest.approx(min(1, of_map / 0.95) * of_object)


def test_a_map_that_the_network_makes_little_of_is_believed_less() -> None:
    """The object itself is as sure, but elsewhere the network is not."""
    small = SQUARE & (X < 50) & (Y < 50)
    clear = np.where(small, 0.9, 0).astype(np.float32)
    doubted = clear.copy()
    doubted[90:] = 0.45
    (first,), (second,) = signs([small], clear, HEAT), signs([small], doubted, HEAT)
    assert first | {"doubt": 0} == second | {"doubt": 0}
    assert MAP_IS_RIGHT.chance(second) < MAP_IS_RIGHT.chance(first)
    assert confidence(second) < confidence(first)


@pytest.mark.parametrize("mask", [np.ones((96, 96), np.bool_), np.eye(96, dtype=np.bool_), SQUARE])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_stays_within_bounds(mask: NDArray[np.bool_], level: float) -> None:
    for heat in (HEAT, np.zeros_like(HEAT)):
        (confidence,) = chance_confidences([mask], np.full((96, 96), level, np.float32), heat)
        assert 0 < confidence < 1


def test_no_objects_no_confidences() -> None:
    assert chance_confidences([], HEAT, HEAT) == []
