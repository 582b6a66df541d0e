"""From the mask of a class to its objects. Knows only arrays."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.working_grid import around, framed

#: Smallest part that a mask is split into, as a share of its largest part: a smaller one counts as a limb, not as an
#: object.
LEAST_PART = 0.35

#: Neck widths are tried in steps of this share of the mask's largest inner radius.
_STEP = 0.1

Mask = NDArray[np.bool_]


class Cut(NamedTuple):
    """A cut through a mask: its worth, and the pixels on one side, (H, W) bool."""

    worth: float
    part: Mask


def components(mask: Mask, connectivity: int = 8) -> list[Mask]:
    """The connected parts of ``mask``, each (H, W) bool, in scan order of their topmost pixels."""
    count, parts = cv2.connectedComponents(mask.view(np.uint8), connectivity=connectivity)
    return [parts == part for part in range(1, count)]


def objects(mask: Mask, min_area: float, min_share: float) -> list[Mask]:
    """The connected parts of a class's mask that are large enough to be objects, the largest first.

    Touching objects of one class come out as one; ``split_at_necks`` and ``split_at_notches`` tell some apart.

    Args:
        mask: (H, W) bool.
        min_area: smallest area, as a share of the image.
        min_share: smallest area, as a share of the largest part.
    """
    if not mask.any():
        return []
    near = around(mask)
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(mask[near].view(np.uint8), connectivity=8)
    areas = boxes[1:, cv2.CC_STAT_AREA]
    smallest = max(min_area * mask.size, min_share * areas.max())
    found = []
    for part in np.argsort(-areas, kind="stable"):
        if areas[part] >= smallest:
            found.append(np.zeros_like(mask))
            found[-1][near] = parts == 1 + part
    return found


def largest_part(mask: Mask) -> Mask:
    """The largest connected part of ``mask``, (H, W) bool; ``mask`` itself where it is in one piece."""
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return parts == 1 + boxes[1:, cv2.CC_STAT_AREA].argmax() if count > 2 else mask


def split_at_necks(mask: Mask, narrowness: float) -> list[Mask]:
    """The objects that touch in one mask, told apart where it narrows between two wide parts, the largest first.

    The distance to the outline is as large as a part is wide, and falls to half the neck's width between two parts.
    Each part then takes the pixels that are nearest to its core. Objects that cover each other have no neck between
    them; ``notches.split_at_notches`` tells some of those apart.

    Args:
        mask: (H, W) bool, one connected object.
        narrowness: widest neck that is cut, as a share of the width of the narrower part, from 0 (none) to 1.
    """
    near = around(mask)
    crop = mask[near]
    # The object may go on beyond the image, where its border is no outline: there it gets no frame.
    (top, bottom), (left, right) = (
        (int(side.start > 0), int(side.stop < length)) for side, length in zip(near, mask.shape, strict=True)
    )
    depth = _to_outside(framed(crop, (top, bottom, left, right)))
    depth = depth[top : top + crop.shape[0], left : left + crop.shape[1]]
    for neck in np.arange(_STEP, narrowness + _STEP / 2, _STEP) * float(depth.max()):
        parts = _parts(crop, depth, float(neck), narrowness)
        if len(parts) > 1:
            apart = []
            for part in parts:
                whole = np.zeros_like(mask)
                whole[near] = part
                apart += split_at_necks(whole, narrowness)
            return sorted(apart, key=np.count_nonzero, reverse=True)
    return [mask]


def _parts(mask: Mask, depth: NDArray[np.float32], neck: float, narrowness: float) -> list[Mask]:
    """The parts of ``mask`` after a cut of its pixels that are at most ``neck`` from the outline; one where it stays
    whole."""
    count, areas = cv2.connectedComponents((depth > neck).view(np.uint8), connectivity=8)
    if count < 3:  # nothing, or all in one
        return [mask]
    cores = [areas == core for core in range(1, count)]
    cores = [core for core in cores if narrowness * float(depth[core].max()) >= neck]
    if len(cores) < 2:
        return [mask]
    nearest = np.argmin([_to_outside(~core) for core in cores], axis=0)
    parts = [mask & (nearest == number) for number in range(len(cores))]
    sizes = [np.count_nonzero(part) for part in parts]
    return parts if min(sizes) >= LEAST_PART * max(sizes) else [mask]


def _to_outside(mask: Mask) -> NDArray[np.float32]:
    """The distance, in pixels, of each pixel to the nearest one outside of ``mask``."""
    return np.asarray(cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)
