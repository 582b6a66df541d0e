"""How far two sets of labels of one image agree, class by class. Knows only instances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.model import Instance


def class_ious(one: Sequence[Instance], other: Sequence[Instance]) -> dict[str, float]:
    """Class -> IoU of all its pixels, for each class that either has.

    Args:
        one, other: instances of one image; those of a class are taken together.
    """
    first, second = _areas(one), _areas(other)
    return {label: _iou(first.get(label), second.get(label)) for label in sorted(first.keys() | second.keys())}


def mean_iou(one: Sequence[Instance], other: Sequence[Instance]) -> float:
    """The mean of ``class_ious``; 1 where neither has an object."""
    ious = class_ious(one, other)
    return float(np.mean(list(ious.values()))) if ious else 1.0


def mirrored(instances: Sequence[Instance]) -> list[Instance]:
    """The instances of the same image seen in a mirror: left is right."""
    return [
        Instance(each.label, np.ascontiguousarray(each.mask[:, ::-1]), each.confidence, each.refined, each.found_by)
        for each in instances
    ]


def _areas(instances: Sequence[Instance]) -> dict[str, NDArray[np.bool_]]:
    areas: dict[str, NDArray[np.bool_]] = {}
    for each in instances:
        areas[each.label] = areas[each.label] | each.mask if each.label in areas else each.mask
    return areas


def _iou(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> float:
    if one is None or other is None:
        return 0.0
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))
