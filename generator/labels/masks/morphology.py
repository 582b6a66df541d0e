"""Smooth the mask of one object by amounts relative to that object. Knows only arrays.

Fixed radii in pixels erase small objects and do nothing to large ones. Here every radius and every area is a
share of the object at hand, and an object that smoothing would erase stays as it is.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.working_grid import around, framed


def smooth(mask: NDArray[np.bool_], opening: float, closing: float) -> NDArray[np.bool_]:
    """Morphological opening, then closing: removes spurs and thin links, fills notches and cracks.

    Args:
        mask: (H, W) bool, one object.
        opening: radius of the disc that must fit into what stays, as a share of the square root of the
            object's area (the side of a square as large). 0 removes nothing.
        closing: radius of the disc that must fit into the gaps that stay, in the same unit. 0 fills nothing.

    Returns:
        (H, W) bool, never empty unless ``mask`` is. It may have several parts.
    """
    side = float(np.count_nonzero(mask)) ** 0.5
    near = around(mask, 1)
    opened = _dilated(_eroded(mask[near], opening * side), opening * side)
    kept = opened if opened.any() else mask[near]
    # With a margin around it, a gap between object and border is open and not a notch to fill.
    margin = 1 + int(2 * closing * side)
    closed = _eroded(_dilated(framed(kept, (margin,) * 4), closing * side), closing * side)
    smoothed = np.zeros_like(mask)
    smoothed[near] = closed[margin:-margin, margin:-margin]
    return smoothed


def fill_holes(mask: NDArray[np.bool_], largest: float) -> NDArray[np.bool_]:
    """Fill the holes of one object that are at most ``largest``, a share of its area; keep larger ones."""
    near = around(mask)
    # Framed, all that lies outside of the object is one region, the first; the other regions of background are holes.
    background = framed(~mask[near], (1, 1, 1, 1), True)
    _, regions, boxes, _ = cv2.connectedComponentsWithStats(background.view(np.uint8), connectivity=4)
    small = np.flatnonzero(boxes[2:, cv2.CC_STAT_AREA] <= largest * np.count_nonzero(mask)) + 2
    if not small.size:
        return mask
    filled = mask.copy()
    filled[near] |= np.isin(regions[1:-1, 1:-1], small)
    return filled


def grow(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """``mask`` and what lies within ``radius`` of it, a share of the square root of its area; at least a pixel."""
    reach = max(1.0, radius * float(np.count_nonzero(mask)) ** 0.5)
    near = around(mask, int(reach) + 1)
    grown = np.zeros_like(mask)
    grown[near] = _dilated(mask[near], reach)
    return grown


# Discs by distance: exact, and no slower for a large radius. The image's border is no edge of an object.
_ROUNDING_PX = 1e-3


def _dilated(mask: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    distance = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return distance <= radius_px + _ROUNDING_PX


def _eroded(mask: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    distance = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return distance > radius_px + _ROUNDING_PX
