"""Figures that know no dataset, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.labels.masks.boundary import match_boundaries
from diffucurate.plugin.evaluation.calibration import calibration_error, rank_correlation


def square(top: int, left: int, side: int = 40, size: int = 100) -> np.ndarray:
    mask = np.zeros((size, size), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def test_boundary_f_score():
    mask = square(20, 20)
    assert match_boundaries(mask, mask).f_score == 1
    assert match_boundaries(mask, mask).pixels == 4 * 39
    # 0.75 % of the diagonal of 141 px is one pixel.
    assert match_boundaries(mask, square(21, 20)).f_score == pytest.approx(1, abs=0.02)
    # Five rows lower: both vertical edges overlap in 35 of 40 rows, widened by one; the horizontal ones are elsewhere.
    moved = match_boundaries(mask, square(25, 20))
    assert moved.near == moved.other_near and moved.near == pytest.approx(2 * 36, abs=2)
    assert moved.f_score == pytest.approx(72 / 156, abs=0.02)
    nothing = np.zeros_like(mask)
    assert match_boundaries(mask, nothing).f_score == 0 and match_boundaries(nothing, nothing).f_score is None
    assert match_boundaries(~nothing, ~nothing).f_score is None  # the rim of the image is no outline


def test_calibration_error():
    # Interval 0.9 to 1: confidence 0.95, half of them right; interval 0.1 to 0.2: 0.15, all wrong.
    assert calibration_error([0.95, 0.95, 0.15, 0.15], [True, False, False, False]) == pytest.approx(
        0.45 / 2 + 0.15 / 2
    )
    assert calibration_error([1.0], [True]) == 0
    assert calibration_error([], []) is None


def test_rank_correlation():
    assert rank_correlation([0.1, 0.5, 0.9], [0.0, 0.2, 0.8]) == pytest.approx(1)
    assert rank_correlation([0.9, 0.5, 0.1], [0.0, 0.2, 0.8]) == pytest.approx(-1)
    assert rank_correlation([0.5, 0.5], [0, 1]) is None and rank_correlation([0.5], [1]) is None
