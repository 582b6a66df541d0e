"""From the mask of a class to its objects. Knows only arrays."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def components(mask: NDArray[np.bool_], connectivity: int = 8) -> list[NDArray[np.bool_]]:
    """The connected parts of ``mask``, each (H, W) bool, in scan order of their topmost pixels."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    return [parts == part for part in range(1, count)]


def objects(mask: NDArray[np.bool_], min_area: float, min_share: float) -> list[NDArray[np.bool_]]:
    """The connected parts of a class's mask that are large enough to be objects, the largest first.

    Touching objects of one class come out as one.

    Args:
        mask: (H, W) bool.
        min_area: smallest area, as a share of the image.
        min_share: smallest area, as a share of the largest part.
    """
    parts = sorted(components(mask), key=np.count_nonzero, reverse=True)
    if not parts:
        return []
    smallest = max(min_area * mask.size, min_share * np.count_nonzero(parts[0]))
    return [part for part in parts if np.count_nonzero(part) >= smallest]
