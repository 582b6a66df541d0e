"""Cleaning that is relative to the object."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.components import components, objects
from diffucurate.generator.labels.masks.morphology import fill_holes, grow, smooth


def square(side: int, shape: tuple[int, int] = (100, 100), at: int = 10) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    mask[at : at + side, at : at + side] = True
    return mask


@pytest.mark.parametrize("side", [1, 2, 3, 10, 60])
@pytest.mark.parametrize("opening", [0.0, 0.1, 0.5])
def test_no_object_is_erased_and_squares_keep_their_sides(side: int, opening: float) -> None:
    mask = square(side)
    cleaned = smooth(mask, opening, opening / 2)
    assert cleaned.any()
    if opening <= 0.1:
        assert (cleaned ^ mask).sum() <= 0.05 * mask.sum()


def test_spurs_go_and_notches_close_at_every_size() -> None:
    for scale in (1, 4):
        clean = square(20 * scale, (40 * scale, 40 * scale), 10 * scale)
        spur, notch = clean.copy(), clean.copy()
        spur[15 * scale : 16 * scale, 30 * scale : 38 * scale] = True
        notch[15 * scale : 16 * scale, 20 * scale : 30 * scale] = False
        assert smooth(spur, 0.1, 0.0)[:, 31 * scale :].sum() == 0
        assert (clean & ~smooth(notch, 0.0, 0.1)).sum() < 0.2 * (clean & ~notch).sum()


def test_zero_does_nothing() -> None:
    ragged = np.random.default_rng(0).random((30, 30)) > 0.4
    assert np.array_equal(smooth(ragged, 0.0, 0.0), ragged)


def test_the_images_border_is_no_edge() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[:20, :] = True
    assert np.array_equal(smooth(mask, 0.2, 0.2), mask)


def test_holes_fill_by_share_of_the_object() -> None:
    mask = square(40)
    mask[15:17, 15:17] = False  # 4 of 1600 px
    mask[30:40, 30:40] = False  # 100 px
    mask[10:12, 20:22] = False  # a notch, open to the outside
    filled = fill_holes(mask, 0.02)
    assert filled[15:17, 15:17].all() and not filled[30:40, 30:40].any() and not filled[10:12, 20:22].any()
    assert fill_holes(mask, 1.0)[30:40, 30:40].all()
    assert np.array_equal(fill_holes(mask, 0.0), mask)
    assert np.array_equal(fill_holes(np.ones((5, 5), np.bool_), 0.5), np.ones((5, 5), np.bool_))


def test_grow_reaches_in_units_of_the_object() -> None:
    assert grow(square(20), 0.5)[20, :].nonzero()[0].tolist() == list(range(0, 40))
    assert grow(square(1), 0.1).sum() == 5


def test_components_touch_at_corners_or_not() -> None:
    mask = np.eye(3, dtype=np.bool_)
    assert (len(components(mask)), len(components(mask, connectivity=4))) == (1, 3)
    assert components(np.zeros((3, 3), np.bool_)) == []


def test_objects_are_large_enough_and_ordered() -> None:
    mask = square(2, at=0) | square(10, at=5) | square(20, at=30) | square(4, at=80)
    assert [part.sum() for part in objects(mask, 0.0, 0.0)] == [400, 100, 16, 4]
    assert [part.sum() for part in objects(mask, 0.001, 0.0)] == [400, 100, 16]  # 10 of 10,000 px
    assert [part.sum() for part in objects(mask, 0.0, 0.25)] == [400, 100]
    assert objects(np.zeros((3, 3), np.bool_), 0.0, 0.0) == []
