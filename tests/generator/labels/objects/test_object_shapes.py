"""Shapes found on the grid, and their outlines at full size."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.working_grid import Grid
from diffucurate.generator.labels.objects.object_shapes import outlined, shapes
from diffucurate.generator.labels.settings import LabelSettings

Mask = NDArray[np.bool_]


def disc(side: int, x: float, y: float, radius: float) -> Mask:
    """Of an image of ``side``, in hundredths of it."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) * 100 / side
    return np.hypot(columns - x, rows - y) < radius


def iou(one: Mask, other: Mask) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


@pytest.mark.parametrize("side", [64, 300, 512, 1000])
def test_outlines_are_those_of_the_class_and_not_of_the_grid(side: int) -> None:
    grid, owned = Grid((side, side)), disc(side, 40, 50, 20)
    (mask,) = outlined([grid.sampled(owned)], grid, owned, owned)
    assert iou(mask, owned) > 0.995
    (ring,) = outlined([grid.sampled(owned)], grid, owned & ~disc(side, 40, 50, 1), owned)
    assert side == 64 or iou(ring, owned) > 0.995, "what the shape holds is filled, whether its class has won it or not"


def test_single_pixels_do_not_fray_an_outline() -> None:
    grid, clean = Grid((512, 512)), disc(512, 50, 50, 25)
    noise = np.random.default_rng(0).random(clean.shape) < 0.1
    (mask,) = outlined([grid.sampled(clean)], grid, clean ^ noise, clean ^ noise)
    assert iou(mask, clean) > 0.98


@pytest.mark.parametrize(("side", "step"), [(504, 7), (432, 6)])
def test_an_outline_follows_the_majority_in_seven_pixels_by_seven(side: int, step: int) -> None:
    """By hand: a strip of 3 px fills 21 of the 49 pixels around each of its own, one of 4 px 28, and beside it 21."""
    grid = Grid((side, side))
    assert (grid.step, grid.shape) == (step, (72, 72))
    points = np.zeros(grid.shape, np.bool_)
    points[:, :36] = True
    first, last = 35 * step, 37 * step  # columns of the points on both sides of the outline
    owned = np.zeros((side, side), np.bool_)
    owned[:, : first - 3] = True
    owned[100:103] = owned[200:204] = True
    (mask,) = outlined([points], grid, owned, owned)
    expected = np.zeros_like(owned)
    expected[:, :first] = True  # the inner points stand for all of their pixels
    expected[200:204, :last] = True
    assert np.array_equal(mask, expected)


def test_parts_share_no_pixel_and_leave_others_theirs() -> None:
    grid = Grid((512, 512))
    left, right, other = disc(512, 30, 50, 20), disc(512, 60, 50, 20), disc(512, 45, 75, 15)
    owned = (left | right) & ~other
    points = [
        grid.sampled(owned & (np.mgrid[:512, :512][1] < 230)),
        grid.sampled(owned & (np.mgrid[:512, :512][1] >= 230)),
    ]
    masks = outlined(points, grid, owned, owned | other)
    assert not (masks[0] & masks[1]).any() and not ((masks[0] | masks[1]) & other).any()
    assert iou(masks[0] | masks[1], owned) > 0.995
    assert abs(int(masks[0].nonzero()[1].max()) - 230) <= 2 * grid.step


def test_nothing_has_no_outline() -> None:
    empty = np.zeros((512, 512), np.bool_)
    assert outlined([], Grid(empty.shape), empty, empty) == []


def test_shapes_are_told_apart_and_ordered() -> None:
    owned = disc(100, 30, 40, 17) | disc(100, 62, 40, 15) | disc(100, 80, 85, 10) | disc(100, 10, 90, 1)
    everywhere, even = np.ones_like(owned), np.ones(owned.shape, np.float32)
    found = shapes(owned, everywhere, even, LabelSettings())
    assert [round(float(mask.nonzero()[1].mean()) / 10) for mask in found] == [3, 6, 8]
    assert len(shapes(owned, everywhere, even, LabelSettings(split=0.0))) == 2, "there is no valley in the heat either"
    assert shapes(np.zeros_like(owned), everywhere, even, LabelSettings()) == []


def test_shapes_are_cleaned_but_not_into_another_class() -> None:
    whole, hole, rival = disc(100, 40, 50, 20), disc(100, 35, 50, 2), disc(100, 45, 50, 2)
    even = np.ones(whole.shape, np.float32)
    (found,) = shapes(whole & ~hole & ~rival, ~rival, even, LabelSettings())
    assert iou(found, whole & ~rival) > 0.98
    assert found[hole].all() and not found[rival].any()
