"""Masks redrawn by another model, where it agrees with the earlier mask. Knows only arrays.

Attention finds an object's class and rough place; a segmentation model finds exact outlines, but may segment a part or
a group instead. So the model is prompted with points of the object, and its mask is taken only where the two overlap
enough to be the same object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.model import Instance, Labels

#: (x0, y0, x1, y1) in pixels; x1 and y1 are one past the last.
Box = tuple[float, float, float, float]

#: Least distance of two points of an object, in square roots of its area: three always fit.
SPACING = 0.35


def hottest_points(heat: NDArray[np.float32], mask: NDArray[np.bool_], count: int) -> NDArray[np.float32]:
    """The hottest pixels of an object, each ``SPACING`` away from those before.

    Args:
        heat: (H, W) map of the object's class, in any unit.
        mask: (H, W) bool, the object, not empty.
        count: how many, at least 1.

    Returns:
        (count, 2) float32, the (x, y) of their centres in pixels, the hottest first. An object too small for so many
        has its hottest one repeated.
    """
    rows, columns = np.nonzero(mask)
    values, reach = heat[rows, columns].astype(np.float64), max(1.0, SPACING * len(rows) ** 0.5)
    points: list[tuple[float, float]] = []
    while len(points) < count:
        best = int(values.argmax())
        if values[best] == -np.inf:
            points.append(points[0])
            continue
        points.append((columns[best] + 0.5, rows[best] + 0.5))
        values[(columns - columns[best]) ** 2 + (rows - rows[best]) ** 2 < reach**2] = -np.inf
    return np.asarray(points, np.float32)


def overlap(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union of two (H, W) masks, in [0, 1]; 0 where both are empty."""
    either = int(np.count_nonzero(mask | other))
    return int(np.count_nonzero(mask & other)) / either if either else 0.0


def agreeing(candidates: NDArray[np.bool_], mask: NDArray[np.bool_], min_agreement: float) -> NDArray[np.bool_] | None:
    """The one of ``candidates`` that overlaps most with ``mask``; None where none overlaps enough.

    Args:
        candidates: (n, H, W) bool; empty ones never count.
        mask: (H, W) bool.
        min_agreement: least IoU with ``mask``, in [0, 1].
    """
    overlaps = [overlap(candidate, mask) if candidate.any() else -1.0 for candidate in candidates]
    if not overlaps or max(overlaps) < min_agreement:
        return None
    return np.asarray(candidates[int(np.argmax(overlaps))])


def box_overlap(box: Box, other: Box) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1), in [0, 1]; 0 where both are empty."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    both = max(width, 0) * max(height, 0)
    either = sum((each[2] - each[0]) * (each[3] - each[1]) for each in (box, other)) - both
    return both / either if either > 0 else 0.0


def drawn_in_boxes(labels: Labels, candidates: Sequence[NDArray[np.bool_]], min_agreement: float) -> Labels:
    """Labels whose masks are whole boxes with the objects drawn that another model sees in the boxes.

    Args:
        labels: as they are; confidences stay.
        candidates: for each instance (n, H, W) bool, the masks it can take. The one whose own box overlaps most with
            the instance's is taken.
        min_agreement: least IoU of the two boxes, in [0, 1]; where none has as much, the whole box stays.

    Returns:
        Labels in the same order, drawn instances marked ``refined``.
    """
    instances = []
    for instance, masks in zip(labels.instances, candidates, strict=True):
        drawn = [Instance(instance.label, mask, instance.confidence, refined=True) for mask in masks if mask.any()]
        best = max(drawn, key=lambda each: box_overlap(each.box, instance.box), default=None)
        fits = best is not None and box_overlap(best.box, instance.box) >= min_agreement
        instances.append(best if best is not None and fits else instance)
    height, width = labels.semantic.shape
    return Labels.from_instances(instances, labels.classes, (height, width))


def refined(labels: Labels, candidates: Sequence[NDArray[np.bool_]], min_agreement: float) -> Labels:
    """Labels whose objects are redrawn where another model agrees with them.

    The most confident object comes first, and no later one gets its pixels: those are cut out of a less confident
    object and of its candidates. An object without pixels is left out.

    Args:
        labels: as they are; confidences stay, for they say how sure the source is that there is such an object.
        candidates: for each instance (n, H, W) bool, the masks it can take instead of its own.
        min_agreement: least IoU of the two, in [0, 1].

    Returns:
        Labels in the same order, redrawn instances marked ``refined``; ``labels`` itself where nothing is redrawn.
    """
    height, width = labels.semantic.shape
    taken = np.zeros((height, width), np.bool_)
    kept: dict[int, Instance] = {}
    for index in sorted(range(len(labels.instances)), key=lambda index: -labels.instances[index].confidence):
        instance = labels.instances[index]
        chosen = agreeing(candidates[index] & ~taken, instance.mask, min_agreement)
        if chosen is not None:
            kept[index] = replace(instance, mask=chosen, refined=True)
        elif (instance.mask & ~taken).any():
            kept[index] = replace(instance, mask=instance.mask & ~taken)
        else:
            continue
        taken |= kept[index].mask
    if not any(instance.refined for instance in kept.values()):
        return labels
    return Labels.from_instances([kept[index] for index in sorted(kept)], labels.classes, (height, width))
