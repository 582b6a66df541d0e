"""Raw class maps: checked, and brought to a size and a range. Knows only arrays."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError

Heat = NDArray[np.float32]


def checked(label: str, heat: NDArray[np.floating]) -> Heat:
    """The map of class ``label`` as float32.

    Raises:
        LabelError: it is not (h, w), empty, or holds NaN, infinity or negative numbers.
    """
    if heat.ndim != 2 or heat.size == 0:
        raise LabelError(f"heatmap of '{label}' has shape {heat.shape}, expected (h, w)")
    if not np.isfinite(heat).all() or heat.min() < 0:
        raise LabelError(f"heatmap of '{label}' holds NaN, infinity or negative numbers; pass the raw map")
    return np.ascontiguousarray(heat, np.float32)


def resized(heat: Heat, size: tuple[int, int]) -> Heat:
    """To (width, height): the mean where it shrinks, bicubic where it grows, within the range that it had."""
    shrinks = size[0] < heat.shape[1]
    large = cv2.resize(heat, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.clip(large, heat.min(), heat.max()).astype(np.float32, copy=False)


def min_max(heat: Heat) -> Heat:
    """Normalised to [0, 1]; 0 throughout where all values are the same."""
    low, high = float(heat.min()), float(heat.max())
    # Rounding of the interpolation must not be blown up to a signal.
    if high - low <= 1e-5 * high:
        return np.zeros_like(heat)
    return (heat - np.float32(low)) / np.float32(high - low)
