"""FiftyOne's evaluation of two fields of Detections, also where some of their instances cannot be read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone import ViewField as F

from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.comparison.marks import ANY_SIZE
from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.store.instances import read_instances
from diffucurate.plugin.store.label_sources import count_masks


class Matching(NamedTuple):
    """FiftyOne's evaluation of one field with another as the reference.

    ``samples`` are without the instances that cannot be read, which ``left_out`` names, each with its sample and why.
    ``without_masks`` are the fields some of whose instances lack masks: then boxes are matched. ``ranked`` says whether
    all instances have confidences, without which there is no average precision.
    """

    results: Any
    samples: fo.DatasetView
    ranked: bool
    without_masks: tuple[str, ...]
    left_out: tuple[str, ...]


def match_fields(
    samples: fo.DatasetView,
    field: str,
    reference: str,
    *,
    key: str,
    iou: float,
    classwise: bool = True,
    progress: Listener | None = None,
) -> Matching:
    """Evaluate a field of Detections with another as the reference, under a key; an earlier evaluation is replaced.

    The samples are read once and not held in memory; what grows with them are FiftyOne's results, which list all
    matches.

    Args:
        samples: all have both fields.
        field, reference: of Detections.
        key: of the evaluation in FiftyOne.
        iou: least IoU of a match.
        classwise: whether only instances of one class can match.
        progress: called with the share that is done.
    """

    from diffucurate.plugin.comparison.fiftyone_coco import evaluate_as_coco

    dataset = dataset_behind(samples)
    without_masks = tuple(path for path in (field, reference) if not _has_masks(samples, path))
    if key in dataset.list_evaluations():
        dataset.delete_evaluation(key)
    # Average precision needs an order of the instances; ground truth, say, has none.
    ranked = samples.count(f"{field}.detections") == samples.count(f"{field}.detections.confidence")
    settings = {"iou": iou, "classwise": classwise, "use_masks": not without_masks, "compute_mAP": ranked}
    results, left_out = _evaluated(samples, field, reference, key, settings, Meter(progress, len(samples)))
    if left_out:
        samples = _without(samples, (field, reference), {identifier for _, identifier in left_out})
        if key in dataset.list_evaluations():
            dataset.delete_evaluation(key)
        results = evaluate_as_coco(samples, field, reference, key=key, **settings)
    return Matching(results, samples, ranked, without_masks, tuple(reason for reason, _ in left_out))


def known_precision(average_precision: float) -> float | None:
    """An average precision of FiftyOne's, which gives -1 where the reference has no instance."""
    return None if average_precision < 0 else float(average_precision)


def _has_masks(samples: fo.DatasetView, field: str) -> bool:
    """Whether every instance has a mask."""
    instances, masks = count_masks(samples, field)
    return masks >= instances


def _evaluated(
    samples: fo.DatasetView, field: str, reference: str, key: str, settings: dict[str, Any], meter: Meter
) -> tuple[Any, list[tuple[str, str]]]:
    """The results of FiftyOne's evaluation; or why instances cannot be read, and their ids, where that spoils it.

    Looking at every instance takes as long as comparing, so it is done only where FiftyOne fails or measures no number.
    """
    from diffucurate.plugin.comparison.fiftyone_coco import evaluate_as_coco

    results, failure = None, None
    try:
        results = evaluate_as_coco(samples, field, reference, key=key, meter=meter, **settings)
    except Exception as error:  # FiftyOne has many for labels that it cannot use
        failure = error
    named = all(
        samples.count(f"{path}.detections") == samples.count(f"{path}.detections.label") for path in (field, reference)
    )
    if results is not None and named and all(_is_number(iou) for iou in results.ious.tolist()):
        return results, []
    left_out = [
        item for name in (field, reference) for item in _unreadable(samples, name, with_masks=settings["use_masks"])
    ]
    if failure is not None and not left_out:
        raise failure
    return results, left_out


def _is_number(iou: float | None) -> bool:
    """Whether a match has an IoU; None stands for no match."""
    return iou is None or math.isfinite(iou)


def _unreadable(samples: fo.DatasetView, field: str, *, with_masks: bool) -> Iterator[tuple[str, str]]:
    """Why instances cannot be read, with their ids."""
    box = np.ones((1, 1), np.bool_)
    for sample in samples.select_fields([field, "metadata"]).iter_samples():
        size = sample.metadata
        shape = (size.height, size.width) if size is not None and size.height and size.width else ANY_SIZE
        labels = sample[field]
        if not with_masks:  # which some lack; the boxes alone are matched
            for detection in labels.detections or ():
                detection.mask, detection.mask_path = box, None
        for identifier, reason in read_instances(labels, shape).left_out.items():
            yield f"{sample.filepath}, {field}: {reason}", identifier


def _without(samples: fo.DatasetView, fields: Sequence[str], identifiers: set[str]) -> fo.DatasetView:
    """The samples without the instances of these ids."""
    unwanted = [ObjectId(identifier) for identifier in identifiers]
    for path in fields:
        samples = samples.filter_labels(path, ~F("_id").is_in(unwanted), only_matches=False)
    return samples
