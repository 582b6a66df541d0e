"""Objects that touch are told apart at necks, and nothing else is cut."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.components import largest_part, split_at_necks

Mask = NDArray[np.bool_]


def discs(side: int, *rounds: tuple[float, float, float]) -> Mask:
    """(x, y, radius) of each disc in hundredths of the side."""
    y, x = (np.mgrid[:side, :side] + 0.5) * 100 / side
    return np.logical_or.reduce([np.hypot(x - cx, y - cy) < radius for cx, cy, radius in rounds])


def bar(side: int, left: float, top: float, right: float, bottom: float) -> Mask:
    y, x = (np.mgrid[:side, :side] + 0.5) * 100 / side
    return (x > left) & (x < right) & (y > top) & (y < bottom)


TWO = ((30, 50, 18), (64, 50, 18))  # their neck is a third of their width


@pytest.mark.parametrize("side", [64, 128, 400])
@pytest.mark.parametrize(
    ("rounds", "count"),
    [
        (TWO, 2),
        (((20, 50, 13), (45, 50, 13), (70, 50, 13)), 3),
        (((30, 50, 18), (59, 50, 12)), 2),  # unlike sizes
        (((30, 50, 18), (50, 50, 6)), 1),  # a limb, no object
        (((30, 50, 18), (45, 50, 18)), 1),  # no neck to speak of
        (((50, 50, 30),), 1),
    ],
)
def test_parts_are_told_apart_at_any_size(
    side: int, rounds: tuple[tuple[float, float, float], ...], count: int
) -> None:
    mask = discs(side, *rounds)
    parts = split_at_necks(mask, 0.5)
    assert len(parts) == count
    assert np.array_equal(np.sum(parts, axis=0), mask), "every pixel belongs to exactly one part"
    areas = [np.count_nonzero(part) for part in parts]
    assert areas == sorted(areas, reverse=True)


@pytest.mark.parametrize(("narrowness", "count"), [(0.0, 1), (0.2, 1), (0.5, 2), (1.0, 2)])
def test_the_setting_says_how_narrow_a_neck_must_be(narrowness: float, count: int) -> None:
    assert len(split_at_necks(discs(128, *TWO), narrowness)) == count


def test_each_part_is_the_object_it_came_from() -> None:
    left, right = split_at_necks(discs(128, *TWO), 0.5)
    found = sorted((left, right), key=lambda part: part.nonzero()[1].mean())
    for part, true in zip(found, TWO, strict=True):
        disc = discs(128, true)
        assert np.count_nonzero(part & disc) / np.count_nonzero(part | disc) > 0.9


def test_the_image_s_border_is_no_outline() -> None:
    """Cut off by the border, an object is half as deep there without getting narrower."""
    half = discs(128, (30, 0, 18), (64, 0, 18))
    assert len(split_at_necks(half, 0.5)) == 2
    assert len(split_at_necks(bar(128, 0, 40, 100, 60), 0.9)) == 1
    whole = np.ones((40, 40), np.bool_)
    assert len(split_at_necks(whole, 1.0)) == 1


def test_the_largest_part_is_the_one_with_most_pixels() -> None:
    """By hand: parts of 2, 6 and 4 pixels, the second of which hangs together at a corner."""
    parts = np.array(
        [
            [1, 1, 0, 0, 2, 2, 0],
            [0, 0, 0, 0, 2, 2, 0],
            [0, 3, 3, 0, 0, 0, 2],
            [0, 3, 3, 0, 0, 0, 2],
        ]
    )
    assert np.array_equal(largest_part(parts > 0), parts == 2)


@pytest.mark.parametrize("mask", [discs(32, (50, 50, 30)), np.zeros((4, 5), np.bool_), np.ones((4, 5), np.bool_)])
def test_the_largest_part_of_one_piece_is_all_of_it(mask: Mask) -> None:
    assert np.array_equal(largest_part(mask), mask)
