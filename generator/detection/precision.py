"""Average precision of masks at IoU 0.5, as COCO has it. Knows only instances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffucurate.generator.labels.model import Instance


def average_precision_50(found: Sequence[Sequence[Instance]], truths: Sequence[Sequence[Instance]]) -> dict[str, float]:
    """Class that occurs in the truth -> its average precision over 101 recalls; one entry per image in both."""
    labels = sorted({each.label for truth in truths for each in truth})
    return {label: _of_class(found, truths, label) for label in labels}


def mean_precision(found: Sequence[Sequence[Instance]], truths: Sequence[Sequence[Instance]]) -> float:
    """The mean of ``average_precision_50`` over classes; 0 where there is no truth."""
    values = list(average_precision_50(found, truths).values())
    return float(np.mean(values)) if values else 0.0


def _of_class(found: Sequence[Sequence[Instance]], truths: Sequence[Sequence[Instance]], label: str) -> float:
    hits: list[tuple[float, bool]] = []
    total = 0
    for shown, truth in zip(found, truths, strict=True):
        real = [each for each in truth if each.label == label]
        total += len(real)
        free = set(range(len(real)))
        for each in sorted((one for one in shown if one.label == label), key=lambda one: -one.confidence):
            best = max(free, key=lambda index: _iou(each, real[index]), default=None)
            hit = best is not None and _iou(each, real[best]) >= 0.5
            if hit and best is not None:
                free.remove(best)
            hits.append((each.confidence, hit))
    hits.sort(key=lambda item: -item[0])
    right = np.cumsum([hit for _, hit in hits]) if hits else np.zeros(0)
    precision = right / np.arange(1, len(hits) + 1)
    recall = right / max(1, total)
    best_after = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.mean([best_after[index] if index < len(best_after) else 0.0 for index in at]))


def _iou(one: Instance, other: Instance) -> float:
    shared = np.count_nonzero(one.mask & other.mask)
    return shared / (one.area + other.area - shared) if shared else 0.0
