"""Average precision as COCO measures it, from matches that are added image by image. Knows nothing of FiftyOne.

A prediction takes some 30 bytes, whatever the number of images: its confidence, its class, and one number per IoU
threshold that says what became of it. FiftyOne's own sweep holds a tuple for each of these, some 8 KiB an image.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: What becomes of a prediction at a threshold: it matches nothing, it is right, or it lies on a region of many objects,
#: which is neither right nor wrong. A number from ``_OTHER`` on is ``_OTHER`` plus the other class that it matches.
_WRONG, _RIGHT, _IGNORED, _OTHER = 0, 1, 2, 3

#: Recalls at which precision is read.
_RECALLS = np.linspace(0, 1, 101)


class Truth(NamedTuple):
    """An object of the reference: its class, and whether it is a region of many objects."""

    label: str | None
    crowd: bool


class Predicted(NamedTuple):
    """A predicted object: its class, its confidence, and the objects that it overlaps with their IoU, crowds last."""

    label: str | None
    confidence: float
    overlaps: Sequence[tuple[Hashable, float]]


class Curves(NamedTuple):
    """``precision`` and ``thresholds`` (of confidence) are (IoU threshold, class, recall), ``sweep`` is the greatest
    recall per (IoU threshold, class). All are -1 for a class that the reference has no object of."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    classes: list[str]
    sweep: NDArray[np.float64]
    thresholds: NDArray[np.float64]


class PrecisionSweep:
    """Matches at several IoU thresholds. An object of the reference is matched once, a crowd any number of times."""

    def __init__(self, ious: Sequence[float]) -> None:
        self._ious = tuple(ious)
        self._codes: dict[str, int] = {}  # class -> its number
        self._truths: list[int] = []  # class -> objects of the reference
        self._confidences, self._labels, self._outcomes = array("d"), array("i"), array("i")

    def add(self, truths: Mapping[Hashable, Truth], predictions: Iterable[Predicted]) -> None:
        """Match the predictions of an image, in their order: the most confident first.

        ``truths`` are the objects that these can match, by their ids.
        """
        for truth in truths.values():
            code = self._code(truth.label)
            if code is not None and not truth.crowd:
                self._truths[code] += 1
        taken: list[set[Hashable]] = [set() for _ in self._ious]
        for each in predictions:
            code = self._code(each.label)
            outcomes = [self._outcome(each, truths, least, used) for least, used in zip(self._ious, taken, strict=True)]
            if code is not None:
                self._confidences.append(each.confidence)
                self._labels.append(code)
                self._outcomes.extend(outcomes)

    def curves(self) -> Curves:
        """Precision by recall of all classes that were seen, in alphabetical order."""
        classes, steps = sorted(self._codes), len(self._ious)
        shape = (steps, len(classes), len(_RECALLS))
        precision, thresholds, sweep = -np.ones(shape), -np.ones(shape), -np.ones(shape[:2])
        confidences, labels = np.array(self._confidences), np.array(self._labels)
        outcomes = np.array(self._outcomes).reshape(-1, steps)
        for index, name in enumerate(classes):
            code = self._codes[name]
            count = self._truths[code]
            for step in range(steps if count else 0):
                of_step = outcomes[:, step]
                counted = ((labels == code) & (of_step <= _RIGHT)) | (of_step == _OTHER + code)
                curve = _curve(confidences[counted], of_step[counted] == _RIGHT, count)
                precision[step, index], thresholds[step, index], sweep[step, index] = curve
        return Curves(precision, _RECALLS.copy(), classes, sweep, thresholds)

    def _code(self, label: str | None) -> int | None:
        if label is None:
            return None
        if label not in self._codes:
            self._codes[label] = len(self._codes)
            self._truths.append(0)
        return self._codes[label]

    def _outcome(
        self, predicted: Predicted, truths: Mapping[Hashable, Truth], least: float, used: set[Hashable]
    ) -> int:
        """What becomes of a prediction where the objects in ``used`` are matched already, to which its own is added."""
        best, best_iou = None, least
        for identifier, iou in predicted.overlaps:
            truth = truths[identifier]
            if identifier in used and not truth.crowd:
                continue
            if truth.crowd and truth.label != predicted.label:
                continue
            if truth.crowd and best is not None and not truths[best].crowd:
                break
            if iou >= best_iou:
                best, best_iou = identifier, iou
        if best is None:
            return _WRONG
        used.add(best)
        truth = truths[best]
        if truth.crowd:
            return _IGNORED
        if truth.label == predicted.label:
            return _RIGHT
        other = self._code(truth.label)
        return _WRONG if other is None else _OTHER + other


def _curve(
    confidences: NDArray[np.float64], right: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Precision and confidence at ``_RECALLS``, 0 where none is as large, and the greatest recall, of one class with
    ``count`` objects in the reference."""
    order = np.lexsort((~right, -confidences))  # of equal confidences those that are right first, as FiftyOne does
    hits = np.cumsum(right[order]).astype(float)
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / count
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, _RECALLS, side="left")
    reached = at < len(recall)
    read, thresholds = np.zeros(len(_RECALLS)), np.zeros(len(_RECALLS))
    read[reached], thresholds[reached] = precision[at[reached]], confidences[order][at[reached]]
    return read, thresholds, float(recall[-1]) if len(recall) else 0.0
