"""From the pixels of a class to its objects: shapes on the grid, then outlines. Knows only arrays."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.components import objects, split_at_necks
from diffucurate.generator.labels.masks.morphology import fill_holes, smooth
from diffucurate.generator.labels.masks.working_grid import Grid, around
from diffucurate.generator.labels.objects.split_at_concavities import split_at_notches
from diffucurate.generator.labels.settings import LabelSettings

Mask = NDArray[np.bool_]

_SQUARE = np.ones((3, 3), np.uint8)


def shapes(owned: Mask, free: Mask, heat: NDArray[np.float32], settings: LabelSettings) -> list[Mask]:
    """The objects of a class, each cleaned by amounts relative to itself, the largest first.

    Args:
        owned: (h, w), the pixels of the class.
        free: (h, w), where its objects may be: these pixels and those of no class.
        heat: (h, w), its map before it followed the image's edges.
    """
    cleaned = np.zeros_like(owned)
    for blob in objects(owned, settings.min_area, settings.min_share):
        cleaned |= smooth(fill_holes(blob, settings.max_hole), settings.opening, settings.closing) & free
    masks = [
        part
        for mask in objects(cleaned, settings.min_area, settings.min_share)
        for wide in split_at_necks(mask, settings.split)
        for part in split_at_notches(wide, heat, settings.notch)
    ]
    return sorted(masks, key=np.count_nonzero, reverse=True)


def outlined(points: Sequence[Mask], grid: Grid, owned: Mask, taken: Mask) -> list[Mask]:
    """Objects that were found on a grid, at full size: no two of them share a pixel.

    An object has all pixels of its inner points. Of the points on both sides of its outline it has the pixels of its
    class, by a majority vote around each, so that single pixels do not make the outline ragged.

    Args:
        points: the objects, each (h, w).
        owned: (H, W), the pixels of their class.
        taken: (H, W), the pixels of any class.
    """
    if not points or grid.step == 1:
        return list(points)
    # The object of each point; a point beside several objects belongs to the first, so that its outline has room on
    # both sides.
    owner, inner = np.zeros(grid.shape, np.int16), np.zeros(grid.shape, np.bool_)
    for number, mask in enumerate(points, 1):
        owner[cv2.dilate(mask.view(np.uint8), _SQUARE).view(np.bool_) & (owner == 0)] = number
    for number, mask in enumerate(points, 1):
        owner[mask] = number
        inner |= cv2.erode(mask.view(np.uint8), _SQUARE).view(np.bool_)
    window = grid.pixels(around(owner > 0))
    owner, mine = grid.enlarged(owner, window), owned[window]
    side = grid.step // 2 * 2 + 1
    majority = cv2.blur(mine.view(np.uint8) * np.uint8(255), (side, side)) > 127
    inside = (grid.enlarged(inner, window) | majority) & (mine | ~taken[window])
    found = []
    for number in range(1, 1 + len(points)):
        found.append(np.zeros_like(owned))
        found[-1][window] = inside & (owner == number)
    return found
