"""Objects that overlap are told apart at the notches between them, where the heat has a valley."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.objects.split_at_concavities import split_at_notches

Mask = NDArray[np.bool_]
Map = NDArray[np.float32]

GAIN = 0.06


def box(side: int, left: float, top: float, right: float, bottom: float) -> Mask:
    """In hundredths of the side."""
    y, x = (np.mgrid[:side, :side] + 0.5) * 100 / side
    return (x > left) & (x < right) & (y > top) & (y < bottom)


def peaks(side: int, *places: tuple[float, float]) -> Map:
    y, x = (np.mgrid[:side, :side] + 0.5) * 100 / side
    return np.maximum.reduce([np.exp(-np.hypot(x - cx, y - cy) / 25) for cx, cy in places]).astype(np.float32)


def iou(one: Mask, other: Mask) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


#: Two that overlap, the left one in front and nearer, and the peaks of each.
FRONT, BACK = (10, 40, 50, 90), (45, 20, 85, 60)
APART = (28, 65), (68, 40)


@pytest.mark.parametrize("side", [48, 100, 190])
def test_two_that_overlap_are_told_apart(side: int) -> None:
    front, back = box(side, *FRONT), box(side, *BACK)
    both = front | back
    parts = split_at_notches(both, peaks(side, *APART), GAIN)
    assert len(parts) == 2 and np.array_equal(parts[0] ^ parts[1], both), "every pixel belongs to exactly one part"
    assert np.count_nonzero(parts[0]) >= np.count_nonzero(parts[1])
    left, right = sorted(parts, key=lambda part: part.nonzero()[1].mean())
    assert iou(left, front) > 0.8 and iou(right, back & ~front) > 0.8


@pytest.mark.parametrize(
    ("boxes", "places", "gain"),
    [
        ([FRONT, BACK], [(28, 65)], GAIN),  # one peak: one object, whatever its shape
        ([FRONT, BACK], [(47, 50)], GAIN),  # one peak, in the middle
        ([FRONT, BACK], APART, 0.5),  # more than there is to gain
        ([FRONT, BACK], APART, 1.0),  # off
        ([(10, 30, 90, 70)], [(28, 50), (72, 50)], GAIN),  # two peaks in one convex shape
        ([(20, 10, 80, 45), (40, 40, 60, 60), (20, 55, 80, 90)], [(50, 25), (50, 75)], GAIN),  # not side by side
        ([(10, 40, 80, 90), (78, 70, 92, 90)], [(40, 65), (88, 80)], GAIN),  # a bonnet: too small to be an object
    ],
)
def test_single_objects_stay_whole(
    boxes: list[tuple[float, ...]], places: list[tuple[float, float]], gain: float
) -> None:
    mask = np.logical_or.reduce([box(100, *sides) for sides in boxes])
    (whole,) = split_at_notches(mask, peaks(100, *places), gain)
    assert np.array_equal(whole, mask)


def test_three_in_a_row() -> None:
    boxes = (4, 50, 36, 90), (32, 25, 66, 62), (62, 50, 96, 90)
    mask = np.logical_or.reduce([box(100, *sides) for sides in boxes])
    parts = split_at_notches(mask, peaks(100, (20, 70), (50, 43), (80, 70)), GAIN)
    assert sorted(round(float(part.nonzero()[1].mean()) / 10) for part in parts) == [2, 5, 8]


@pytest.mark.parametrize("mask", [np.ones((1, 1)), np.ones((1, 40)), np.eye(30), np.ones((3, 3)) - np.eye(3)])
def test_any_mask_can_be_looked_at(mask: NDArray[np.float64]) -> None:
    parts = split_at_notches(mask > 0, np.random.default_rng(0).random(mask.shape, np.float32), 0.0)
    assert np.array_equal(np.sum(parts, axis=0), mask)
