"""From the mask of a class to its objects. Knows only arrays."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

#: Smallest part that a mask is split into, as a share of its largest part: a smaller one is a limb, no object.
LEAST_PART = 0.35

#: Necks are looked for at steps of this share of the mask's largest inner radius.
_STEP = 0.05


def components(mask: NDArray[np.bool_], connectivity: int = 8) -> list[NDArray[np.bool_]]:
    """The connected parts of ``mask``, each (H, W) bool, in scan order of their topmost pixels."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    return [parts == part for part in range(1, count)]


def objects(mask: NDArray[np.bool_], min_area: float, min_share: float) -> list[NDArray[np.bool_]]:
    """The connected parts of a class's mask that are large enough to be objects, the largest first.

    Touching objects of one class come out as one; ``split_at_necks`` tells some apart.

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


def split_at_necks(mask: NDArray[np.bool_], narrowness: float) -> list[NDArray[np.bool_]]:
    """The objects that touch in one mask, told apart where it narrows between two wide parts, the largest first.

    The distance to the outline is as large as a part is wide, and falls to half the neck's width between two parts.
    Each part then takes the pixels that are nearest to its core. Objects that cover each other without a neck, such
    as two buses in a row, stay one: their outline does not show where one ends.

    Args:
        mask: (H, W) bool, one connected object.
        narrowness: widest neck that is cut, as a share of the width of the narrower part, from 0 (none) to 1.
    """
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    crop = np.s_[y : y + height, x : x + width]
    # The mask may go on beyond the image, where its border is no outline.
    sides = ((int(y > 0), int(y + height < mask.shape[0])), (int(x > 0), int(x + width < mask.shape[1])))
    padded = np.pad(mask[crop], sides).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
    depth = depth[sides[0][0] : sides[0][0] + height, sides[1][0] : sides[1][0] + width]
    for neck in np.arange(_STEP, narrowness + _STEP / 2, _STEP) * float(depth.max()):
        parts = _parts(mask[crop], depth, float(neck), narrowness)
        if len(parts) > 1:
            apart = []
            for part in parts:
                whole = np.zeros_like(mask)
                whole[crop] = part
                apart += split_at_necks(whole, narrowness)
            return sorted(apart, key=np.count_nonzero, reverse=True)
    return [mask]


def _parts(
    mask: NDArray[np.bool_], depth: NDArray[np.float32], neck: float, narrowness: float
) -> list[NDArray[np.bool_]]:
    """What ``mask`` falls into when its places of at most ``neck`` to the outline are cut; one where it holds."""
    cores = [core for core in components(depth > neck) if narrowness * float(depth[core].max()) >= neck]
    if len(cores) < 2:
        return [mask]
    apart = [cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for core in cores]
    nearest = np.argmin(apart, axis=0)
    parts = [mask & (nearest == number) for number in range(len(cores))]
    areas = [np.count_nonzero(part) for part in parts]
    return parts if min(areas) >= LEAST_PART * max(areas) else [mask]
