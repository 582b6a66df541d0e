"""What a person drew or mended stays when labels are made anew, and new labels give way to it. Knows only arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from diffucurate.generator.labels.model import HUMAN, Instance, Labels

#: A new object is taken for one that a person has drawn from this IoU on, under whatever name.
_SAME = 0.5


def with_drawn(labels: Labels, drawn: Sequence[Instance]) -> Labels:
    """New labels with what a person drew in the place of what was found there.

    Args:
        labels: as they were made.
        drawn: of the same image; their classes may be none of ``labels.classes``, to which they are added.

    Returns:
        Labels whose first instances are ``drawn``, found by ``human``. New objects at the same place are gone, others
        have what is left of their pixels; the semantic mask shows what is drawn.
    """
    if not drawn:
        return labels
    classes = tuple(dict.fromkeys([*labels.classes, *(each.label for each in drawn)]))
    pixels = np.logical_or.reduce([each.mask for each in drawn])
    semantic, kept = labels.semantic.copy(), []
    for instance in labels.instances:
        left = instance.mask & ~pixels
        if any(_iou(instance, each) >= _SAME for each in drawn) or not left.any():
            semantic[instance.mask & (semantic == 1 + classes.index(instance.label))] = 0
        else:
            kept.append(instance if left.sum() == instance.area else replace(instance, mask=left))
    for each in drawn:
        semantic[each.mask] = 1 + classes.index(each.label)
    return Labels(semantic, (*(replace(each, found_by=(HUMAN,)) for each in drawn), *kept), classes)


def _iou(one: Instance, other: Instance) -> float:
    shared = int(np.count_nonzero(one.mask & other.mask))
    return shared / (one.area + other.area - shared)
