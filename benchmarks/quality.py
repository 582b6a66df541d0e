"""How right masks, objects and their confidences are, where the truth is known: the measures of all benchmarks."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Mask = NDArray[np.bool_]


class Found(NamedTuple):
    """An object, true or found; a true one has score 1."""

    label: str
    mask: NDArray[np.bool_]
    score: float


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(one & other) / max(1, np.count_nonzero(one | other)))


def true_ious(found: Sequence[Found], truth: Sequence[Found]) -> list[float]:
    """The best IoU of each object found with a true object of its class."""
    return [
        max((iou(thing.mask, true.mask) for true in truth if true.label == thing.label), default=0.0) for thing in found
    ]


def average_precision_50(found: Sequence[Sequence[Found]], truths: Sequence[Sequence[Found]]) -> dict[str, float]:
    """COCO's average precision of masks at IoU 0.5 per class that occurs, and their ``mean``; one entry per image."""

    labels = sorted({each.label for each in (*itertools.chain(*truths), *itertools.chain(*found))})

    def entries(images: Sequence[Sequence[Found]]) -> list[dict[str, Any]]:
        flat = [(image, thing) for image, things in enumerate(images) for thing in things]
        return [
            {
                "id": 1 + number,
                "image_id": image,
                "category_id": labels.index(thing.label),
                "segmentation": coco_mask.encode(np.asfortranarray(thing.mask, np.uint8)),
                "area": int(thing.mask.sum()),
                "bbox": [0, 0, 1, 1],  # boxes are not looked at
                "iscrowd": 0,
                "score": thing.score,
            }
            for number, (image, thing) in enumerate(flat)
        ]

    shared = {
        "images": [
            {"id": image, **dict(zip(("height", "width"), first.mask.shape, strict=True))}
            for image, objects in enumerate(truths)
            for first in (*objects, *found[image])[:1]
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(labels)],
    }
    exact, guessed = COCO(), COCO()
    exact.dataset = {**shared, "annotations": entries(truths)}
    guessed.dataset = {**shared, "annotations": entries(found)}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports as it goes
        exact.createIndex()
        guessed.createIndex()
        evaluation = COCOeval(exact, guessed, "segm")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.evaluate()
        evaluation.accumulate()
    # (thresholds, recalls, classes, areas, most objects): all areas, 100 objects; -1 where a class does not occur
    precision = evaluation.eval["precision"][0, :, :, 0, -1]
    per_class = {
        label: float(precision[:, number].mean()) for number, label in enumerate(labels) if precision[0, number] >= 0
    }
    return {**per_class, "mean": float(np.mean(list(per_class.values())))}


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation; equal values share their mean rank. 0 where all values of one side are equal."""

    def ranks(values: Sequence[float]) -> NDArray[np.float64]:
        _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2)[place]

    first, second = ranks(one), ranks(other)
    return float(np.corrcoef(first, second)[0, 1]) if np.ptp(first) and np.ptp(second) else 0.0


def boundary_f(found: Mask, truth: Mask, tolerance: float = 0.0075) -> float:
    """The F-score of a mask's outline: how much of each has the other within reach (DAVIS, Perazzi et al. 2016).

    ``tolerance`` is that reach, as a share of the image's diagonal. 0 where one of the masks is empty, and 1 where both
    are.
    """
    if not (found.any() and truth.any()):
        return float(not (found.any() or truth.any()))
    reach = max(1, round(tolerance * float(np.hypot(*truth.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    outlines = [
        mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3)), borderValue=1).astype(bool) for mask in (found, truth)
    ]
    if not all(outline.any() for outline in outlines):  # a mask of the whole image has none
        return float(not any(outline.any() for outline in outlines))
    near = [cv2.dilate(outline.astype(np.uint8), disc).astype(bool) for outline in outlines]
    precision, recall = near[1][outlines[0]].mean(), near[0][outlines[1]].mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def calibration_error(scores: Sequence[float], ious: Sequence[float], bins: int = 10) -> float:
    """The expected calibration error of scores as chances that an object is right, which is an IoU of 0.5 or more.

    Naeini et al. 2015, in equally wide bins: the mean over all objects of how far their bin's mean score is from its
    share of right ones. 0 without objects.
    """
    values, right = np.asarray(scores, float), np.asarray(ious) >= 0.5
    places = np.minimum((values * bins).astype(int), bins - 1)
    gaps = [abs(float((values - right)[places == place].sum())) for place in range(bins)]
    return sum(gaps) / max(1, values.size)
