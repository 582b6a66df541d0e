"""In which way two sources disagree on the objects of one image. Knows masks and names, nothing of FiftyOne.

The kinds are those by which people sort errors of detectors: objects that only one has, other classes, objects that one
holds together and the other tells apart, and outlines that are only roughly the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: What only ``a`` has, and what only ``b`` has.
EXTRA, MISSED = "extra", "missed"

#: The same place under two names.
WRONG_CLASS = "wrong class"

#: One object of several that the other source tells apart; and one of several that it holds for one.
MERGED, SPLIT = "merged", "split"

#: The same object, with less overlap than ``TIGHT``.
LOOSE = "loose outline"

KINDS = (EXTRA, MISSED, WRONG_CLASS, MERGED, SPLIT, LOOSE)

#: Least IoU of two outlines that are taken for the same.
TIGHT = 0.75

#: Least IoU of two objects of a class that match no others and are taken for one, with a loose outline.
_SAME = 0.1

#: An object lies in another if that covers this share of it.
_WITHIN = 0.5


@dataclass(frozen=True)
class Seen:
    """One object: its class, its (H, W) bool mask, and its IoU with what it was matched to, None without a match."""

    label: str
    mask: NDArray[np.bool_]
    iou: float | None


class Differences(NamedTuple):
    """The kinds of disagreement of each object, in the order of ``a`` and of ``b``, none where both agree; and the
    indices (in ``a``, in ``b``) of objects that are one place under two names."""

    of_a: list[set[str]]
    of_b: list[set[str]]
    confused: list[tuple[int, int]]


def kinds_of(a: Sequence[Seen], b: Sequence[Seen], least: float) -> Differences:
    """In which way two sources disagree on the objects of one image.

    Args:
        a, b: all objects of one image by either source, ``b`` being the reference.
        least: the IoU from which objects of different classes are the same place, in (0, 1].
    """
    kinds_a: list[set[str]] = [set() for _ in a]
    kinds_b: list[set[str]] = [set() for _ in b]
    shared = _intersections(a, b)
    areas_a, areas_b = (np.array([each.mask.sum() for each in side], float).reshape(-1) for side in (a, b))
    ious = shared / np.maximum(areas_a[:, None] + areas_b[None] - shared, 1)
    same = np.array([[one.label == other.label for other in b] for one in a], bool).reshape(len(a), len(b))

    inside = same & (shared >= _WITHIN * areas_b[None])
    around = same & (shared >= _WITHIN * areas_a[:, None])
    for index, one in enumerate(a):
        if not _tight(one) and inside[index].sum() > 1:
            kinds_a[index].add(MERGED)
            for other in np.flatnonzero(inside[index]):
                kinds_b[other].add(SPLIT)
    for index, one in enumerate(b):
        if not _tight(one) and around[:, index].sum() > 1:
            kinds_b[index].add(MERGED)
            for other in np.flatnonzero(around[:, index]):
                kinds_a[other].add(SPLIT)

    confused = []
    # The best overlaps first, each object in one pair.
    for i, j in sorted(np.argwhere(ious > 0).tolist(), key=lambda pair: -ious[pair[0], pair[1]]):
        free = a[i].iou is None and b[j].iou is None and not kinds_a[i] and not kinds_b[j]
        kind = LOOSE if same[i, j] else WRONG_CLASS
        if free and ious[i, j] >= (_SAME if same[i, j] else least):
            kinds_a[i].add(kind)
            kinds_b[j].add(kind)
            if kind == WRONG_CLASS:
                confused.append((i, j))
    for side, kinds, alone in ((a, kinds_a, EXTRA), (b, kinds_b, MISSED)):
        for one, found in zip(side, kinds, strict=True):
            if not found and not _tight(one):
                found.add(alone if one.iou is None else LOOSE)
    return Differences(kinds_a, kinds_b, confused)


def _tight(one: Seen) -> bool:
    return one.iou is not None and one.iou >= TIGHT


def _intersections(a: Sequence[Seen], b: Sequence[Seen]) -> NDArray[np.float64]:
    """(a, b): the pixels that objects share."""
    boxes_a, boxes_b = ([_box(each.mask) for each in side] for side in (a, b))
    shared = np.zeros((len(a), len(b)))
    for i, (top, bottom, left, right) in enumerate(boxes_a):
        for j, (other_top, other_bottom, other_left, other_right) in enumerate(boxes_b):
            rows = slice(max(top, other_top), min(bottom, other_bottom))
            columns = slice(max(left, other_left), min(right, other_right))
            if rows.start < rows.stop and columns.start < columns.stop:
                shared[i, j] = np.count_nonzero(a[i].mask[rows, columns] & b[j].mask[rows, columns])
    return shared


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First and last row and column of a mask's pixels, the last ones excluded."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1) if rows.size else (0, 0, 0, 0)
