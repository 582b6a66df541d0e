"""How much of an image is labelled, and in how many pieces. Knows only masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.working_grid import around

Mask = NDArray[np.bool_]

#: Parts below this share of an object are crumbs, which are not counted.
_CRUMB = 0.01


class ShapeMeasures(NamedTuple):
    """``parts``: connected parts of an object, those below 1 % of it left out. ``compactness``: its area by that of a
    disc with an outline as long, in [0, 1]; 1 for a disc, less for what is ragged, thin or in pieces."""

    parts: int
    compactness: float


class MaskMeasures(NamedTuple):
    """Of all labels of an image: ``coverage`` is the share of the image that objects cover, ``objects`` their number,
    ``parts`` the greatest and ``compactness`` the least of any; None where there is no object."""

    coverage: float
    objects: int
    parts: int | None
    compactness: float | None


def measure_shape(mask: Mask) -> ShapeMeasures:
    """Measure one object.

    Args:
        mask: (H, W) bool, not empty.
    """
    near = np.pad(mask[around(mask)], 1)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(near.view(np.uint8), connectivity=8)
    areas = boxes[1:, cv2.CC_STAT_AREA]
    parts = int(np.count_nonzero(areas >= _CRUMB * areas.sum()))
    return ShapeMeasures(parts, min(1.0, 4 * math.pi * int(areas.sum()) / _outline(near) ** 2))


def measure_masks(masks: Sequence[Mask], shapes: Sequence[ShapeMeasures], size: tuple[int, int]) -> MaskMeasures:
    """Sum up the objects of an image.

    Args:
        masks: (H, W) bool, one for each object.
        shapes: the measures of each.
        size: (height, width) of the image.
    """
    if not masks:
        return MaskMeasures(0.0, 0, None, None)
    covered = np.count_nonzero(np.logical_or.reduce(list(masks))) / (size[0] * size[1])
    return MaskMeasures(
        float(covered), len(masks), max(shape.parts for shape in shapes), min(shape.compactness for shape in shapes)
    )


def _outline(mask: Mask) -> float:
    """The length of all outlines of a mask, holes included, in pixels.

    By Crofton's formula over lines in four directions, which are 1 pixel apart and, diagonal ones, 0.71.
    """
    straight = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    diagonal = np.count_nonzero(mask[1:, 1:] != mask[:-1, :-1]) + np.count_nonzero(mask[1:, :-1] != mask[:-1, 1:])
    return math.pi / 8 * float(straight + diagonal / math.sqrt(2))
