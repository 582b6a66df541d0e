"""Noise learning (DiffuMask, Wu et al. 2023): how far labels are what a model predicts that was trained on others.

The predictions are any labels of the dataset that were made out of sample: a model that was trained on these very
labels repeats their mistakes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import numpy as np

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.quality.overlap import class_ious
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.image_size import image_size
from diffucurate.plugin.store.instances import read_instances
from diffucurate.plugin.store.samples import all_images

#: Samples whose labels are held in memory at once.
_AT_ONCE = 200


def noise(
    dataset: fo.Dataset,
    ids: Sequence[str],
    source: tuple[str, str],
    against: tuple[str, str],
    progress: Listener | None,
) -> None:
    """Write the mean IoU per class of labels and predictions, and the rank of each image among those of its classes.

    The rank is the least over the classes that an image is labelled with or predicted to have: the share of the images
    with that class whose IoU is no higher. So a rank of 0.7 and more keeps 30 % of each class, as DiffuMask does.

    Args:
        dataset: of which the samples are.
        ids: the samples; those without labels of both sources get no numbers.
        source: (name, Detections field) of the labels.
        against: the same of the predictions.
        progress: called after each image.

    Raises:
        DatasetError: no sample has both.
    """
    ious: dict[str, dict[str, float]] = {}
    meter = Meter(progress, len(ids))
    fields = [source[1], against[1]]
    for start in range(0, len(ids), _AT_ONCE):
        part = list(ids[start : start + _AT_ONCE])
        for sample in all_images(dataset).select(part, ordered=True).select_fields([*fields, "metadata"]):
            labels, predictions = (_instances(sample, field) for field in fields)
            if labels is not None and predictions is not None:
                ious[sample.id] = class_ious(labels, predictions)
            meter.advance()
    if not ious:
        raise DatasetError(f"no sample has labels of {source[0]} and {against[0]}; label the same samples with each")
    ranks = _ranks(ious)
    values = {
        "noise_iou": {each: float(np.mean(list(found.values()))) if found else 1.0 for each, found in ious.items()},
        "noise_rank": {each: min((ranks[name][each] for name in found), default=1.0) for each, found in ious.items()},
    }
    for name, column in values.items():
        every: dict[str, Any] = dict.fromkeys(ids) | column
        dataset.set_values(field_names.pair_measure(name, source[0], against[0]), every, key_field="id")


def _ranks(ious: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Class -> image -> the share of the images of that class whose IoU is no higher."""
    of_class: dict[str, dict[str, float]] = defaultdict(dict)
    for sample_id, found in ious.items():
        for label, iou in found.items():
            of_class[label][sample_id] = iou
    ranks = {}
    for label, images in of_class.items():
        ordered = np.sort(list(images.values()))
        shares = np.searchsorted(ordered, list(images.values()), side="right") / len(ordered)
        ranks[label] = dict(zip(images, map(float, shares), strict=True))
    return ranks


def _instances(sample: Any, field: str) -> list[Instance] | None:
    """The instances of a sample that can be read; None where it is not labelled or its size is unknown."""
    shape = image_size(sample) if sample[field] is not None else None
    return None if shape is None else read_instances(sample[field], shape).instances
