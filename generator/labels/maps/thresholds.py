"""Thresholds that divide a map into object and background. Knows only arrays of numbers.

The criterion of ``otsu`` is two groups of values, that of ``steepest`` an outline along which the map falls fast, and
that of ``refinement_agreement`` a mask that refinement along the image's edges changes little.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

#: Thresholds that are tried between the lowest and the highest, both among them.
CANDIDATES = 9

#: Longest side, in pixels, of the copy of a map on which steepness is read: its unit is then the same for every
#: image, and an image of any size takes the same time.
_GRID_PX = 128


def otsu(values: NDArray[np.float32]) -> float:
    """The threshold t that best splits ``values`` into those <= t and those > t.

    Otsu (1979): the split with the largest variance between the two groups. All splits are tried, not those
    between 256 bins, so that no step of a map is lost. The threshold lies halfway between the two values it separates.
    Values that are all the same have nothing to split: that value is returned, and nothing is above it.

    Args:
        values: finite numbers in an array of any shape, not empty.
    """
    ordered = np.sort(values, axis=None).astype(np.float64)
    if ordered[0] == ordered[-1]:
        return float(ordered[-1])
    below = np.arange(1.0, ordered.size)
    # Of values whose mean is 0 the groups' sums are each other's negative, which leaves this of the variance.
    sums = np.cumsum(ordered - ordered.mean())[:-1]
    between = sums * sums / (below * (ordered.size - below))
    split = int(between.argmax())
    return float(ordered[split] + ordered[split + 1]) / 2


def separability(values: NDArray[np.float32], threshold: float) -> float:
    """How well a threshold divides ``values``: the variance between the two groups by that of all, in [0, 1].

    Otsu's (1979) eta. 1 where each group is one value, 0 where there is but one group.
    """
    above = values > threshold
    share = np.count_nonzero(above) / above.size
    if share in (0, 1):
        return 0.0
    apart = float(values[above].mean(dtype=np.float64) - values[~above].mean(dtype=np.float64))
    return share * (1 - share) * apart * apart / float(values.var(dtype=np.float64))


def steepest(heat: NDArray[np.float32], lowest: float, highest: float) -> float:
    """The threshold in [lowest, highest] along whose outline the map is steepest.

    An object ends where its heat falls; an outline that runs through a slow slope or a plateau is somewhere in the
    background, or within the object. Steepness is the mean of the map's gradient (Sobel) over the pixels on both
    sides of the outline. Of equally steep outlines the widest is taken. Where none of the candidates has an
    outline, ``highest`` is returned.

    Args:
        heat: (H, W).
        lowest, highest: ends of the ``CANDIDATES`` evenly spaced thresholds, lowest < highest.
    """
    shrink = _GRID_PX / max(heat.shape)
    if shrink < 1:
        heat = np.asarray(cv2.resize(heat, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.float32)
    slope = np.hypot(_slope(heat, 1, 0), _slope(heat, 0, 1))
    # How many of the thresholds each pixel is above: the outlines of all of them in one image.
    above = (heat - lowest) * ((CANDIDATES - 1) / (highest - lowest))
    levels = np.clip(np.ceil(above), 0, CANDIDATES).astype(np.int8)
    sums, pairs = np.zeros(CANDIDATES + 1), np.zeros(CANDIDATES + 1, np.int64)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        crossed = levels[one] != levels[other]
        first, second = levels[one][crossed], levels[other][crossed]
        both = slope[one][crossed] + slope[other][crossed]
        # Thresholds from the lower pixel's level up to below the higher one's pass between the two.
        for ends, sign in ((np.minimum(first, second), 1), (np.maximum(first, second), -1)):
            sums += sign * np.bincount(ends, both, CANDIDATES + 1)
            pairs += sign * np.bincount(ends, minlength=CANDIDATES + 1)
    sums, pairs = np.cumsum(sums)[:-1], np.cumsum(pairs)[:-1]
    if not pairs.any():
        return highest
    steepness = np.divide(sums, pairs, out=np.zeros_like(sums), where=pairs > 0)
    return float(np.linspace(lowest, highest, CANDIDATES)[steepness.argmax()])


def _slope(heat: NDArray[np.float32], x: int, y: int) -> NDArray[np.float32]:
    return np.asarray(cv2.Sobel(heat, cv2.CV_32F, x, y, borderType=cv2.BORDER_REPLICATE), np.float32)


def refinement_agreement(
    heat: NDArray[np.float32],
    lowest: float,
    highest: float,
    refine: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> float:
    """The threshold in [lowest, highest] whose mask refinement along the image's edges changes least.

    DiffuMask's adaptive threshold (Wu et al. 2023) with ``refine`` in the place of its affinity network: the mask is
    refined like a map and cut at one half, and the IoU of the two says how well they agree. Of equal ones the
    lowest threshold is taken.

    Args:
        heat: (H, W).
        lowest, highest: ends of the ``CANDIDATES`` evenly spaced thresholds.
        refine: (H, W) float32 in [0, 1] -> the same, with its steps where the image has them.
    """

    def agrees(threshold: float) -> float:
        mask = heat > threshold
        refined = refine(mask.astype(np.float32)) > 0.5
        either = int(np.count_nonzero(mask | refined))
        return int(np.count_nonzero(mask & refined)) / max(1, either)

    return float(max(np.linspace(lowest, highest, CANDIDATES), key=agrees))
