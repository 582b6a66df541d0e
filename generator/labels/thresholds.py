"""Where to cut a map into object and background. Knows only arrays of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def otsu(values: NDArray[np.float32]) -> float:
    """The threshold t that best splits ``values`` into those <= t and those > t.

    Otsu (1979): the split with the largest variance between the two groups. Every distinct value is a
    candidate, so nothing is lost to a histogram of 256 bins. The threshold lies halfway between the two
    values it separates. Values that are all the same have nothing to split: that value is returned, and
    nothing is above it.

    Args:
        values: finite numbers in an array of any shape, not empty.
    """
    ordered = np.sort(values, axis=None).astype(np.float64)
    below = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)
    mean_below = sums[:-1] / below
    mean_above = (sums[-1] - sums[:-1]) / (ordered.size - below)
    between = below * (ordered.size - below) * (mean_above - mean_below) ** 2
    between[ordered[1:] == ordered[:-1]] = 0  # equal values cannot be split
    if not between.any():
        return float(ordered[-1])
    split = int(between.argmax())
    return float((ordered[split] + ordered[split + 1]) / 2)
