"""cleanlab's scores of labels by the predictions of a second source: ObjectLab for objects, softmin for pixels.

All scores are in [0, 1]; low ones are likely wrong. cleanlab is an optional extra, imported when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import ModelError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.sources.extras import CLEANLAB

#: What is scored: all at once, objects that the labels lack, boxes in the wrong place, wrong classes.
OBJECT_KINDS = ("quality", "overlooked", "badloc", "swap")

#: x0, y0, x1, y1 in pixels, label, and confidence.
ScoredBox = tuple[tuple[float, float, float, float], str, float]


def check_installed() -> None:
    """See that cleanlab is there.

    Raises:
        ModelError: it is not installed.
    """
    if not CLEANLAB.installed:
        raise ModelError(CLEANLAB.remedy("Label quality"))


def score_objects(
    labels: Sequence[Sequence[ScoredBox]], predictions: Sequence[Sequence[ScoredBox]]
) -> Mapping[str, NDArray[np.float64]]:
    """ObjectLab's scores of images, one per image for each of ``OBJECT_KINDS``.

    Args:
        labels: the boxes of each image that are judged; their confidences do not count.
        predictions: the boxes that a second source predicts in the same images.

    Raises:
        ModelError: cleanlab is not installed.
    """
    check_installed()
    if not labels:
        return {kind: np.zeros(0) for kind in OBJECT_KINDS}
    from cleanlab.object_detection import rank

    names = sorted({name for images in (labels, predictions) for boxes in images for _, name, _ in boxes})
    given = [
        {
            "bboxes": np.array([box for box, _, _ in boxes], float).reshape(-1, 4),
            "labels": np.array([names.index(name) for _, name, _ in boxes], int),
        }
        for boxes in labels
    ]
    predicted = [_by_class(boxes, names) for boxes in predictions]
    arguments: dict[str, Any] = {"labels": given, "predictions": predicted}
    kinds = {
        "overlooked": rank.compute_overlooked_box_scores,
        "badloc": rank.compute_badloc_box_scores,
        "swap": rank.compute_swap_box_scores,
    }
    if not any(boxes for images in (labels, predictions) for boxes in images):
        return {kind: np.ones(len(labels)) for kind in OBJECT_KINDS}  # nothing is wrong where nothing is
    scores = {"quality": rank.get_label_quality_scores(given, predicted, verbose=False)}
    scores |= {kind: rank.pool_box_scores_per_image(compute(**arguments)) for kind, compute in kinds.items()}
    return {kind: np.asarray(scores[kind], np.float64) for kind in OBJECT_KINDS}


def score_pixels(labels: Labels, predictions: Sequence[Instance]) -> float:
    """The softmin over the pixels of an image of the probability that a second source gives the label.

    A pixel of a predicted object has its class with the object's confidence, else the background; pixels that the
    labels leave open (255) do not count.

    Raises:
        ModelError: cleanlab is not installed.
    """
    check_installed()
    from cleanlab.segmentation.rank import get_label_quality_scores

    classes = {name: 1 + index for index, name in enumerate(labels.classes)}
    shape = labels.semantic.shape
    chances = np.zeros((1 + len(classes), *shape))
    chances[0] = 1
    for instance in sorted(predictions, key=lambda each: each.confidence):  # the most certain one is in front
        if instance.label in classes:
            chances[:, instance.mask] = 0
            chances[classes[instance.label], instance.mask] = instance.confidence
            chances[0, instance.mask] = 1 - instance.confidence
    known = labels.semantic <= len(classes)
    if not known.any():
        return 1.0
    given = labels.semantic[known].astype(np.int64)
    scores, _ = get_label_quality_scores(given[None, None], chances[:, known][None, :, None], verbose=False)
    return float(scores[0])


def _by_class(boxes: Sequence[ScoredBox], names: Sequence[str]) -> NDArray[Any]:
    """Boxes as cleanlab takes predictions: for each class (boxes, 5), the last being the confidence."""
    found = np.empty(len(names), dtype=object)
    for index, name in enumerate(names):
        rows = [(*box, confidence) for box, label, confidence in boxes if label == name]
        found[index] = np.array(rows, float).reshape(-1, 5)
    return found
