"""cleanlab's scores of a source's labels, by the predictions of a second source, on each sample."""

from __future__ import annotations

from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.quality.label_scores import OBJECT_KINDS, ScoredBox, score_objects, score_pixels
from diffucurate.generator.text.class_names import folded
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.image_size import image_size
from diffucurate.plugin.store.instances import UnreadableInstanceError, read_instance
from diffucurate.plugin.store.label_sources import count_masks


def label_quality(samples: fo.Dataset | fo.DatasetView, source: tuple[str, str], against: tuple[str, str]) -> None:
    """Write how likely the labels of a source are right by those of a second one, 0 to 1, on each sample.

    Args:
        samples: of which those are looked at that have labels of both.
        source: (name, Detections field) of the labels that are judged.
        against: the same of the labels that are taken for predictions; one without confidence counts as certain.

    Raises:
        DatasetError: no sample has labels of both.
        ModelError: cleanlab is not installed.
    """
    view = samples.exists(source[1]).exists(against[1])
    if not view:
        raise DatasetError(f"no sample has labels of {source[0]} and {against[0]}; label the same samples with each")
    counts = [count_masks(view, field) for field in (source[1], against[1])]
    with_masks = all(masks >= instances for instances, masks in counts)
    boxes: list[list[list[ScoredBox]]] = [[], []]
    ids: list[str] = []
    pixels: dict[str, float] = {}
    for sample in view.select_fields([source[1], against[1], "metadata"]).iter_samples():
        shape = image_size(sample)
        if shape is None:
            continue
        ids.append(sample.id)
        given, predicted = (_instances(sample[field], shape) for field in (source[1], against[1]))
        for side, instances in zip(boxes, (given, predicted), strict=True):
            side.append([(_corners(each), each.label, each.confidence) for each in instances])
        if with_masks:
            classes = tuple(dict.fromkeys(each.label for each in (*given, *predicted)))
            pixels[sample.id] = score_pixels(Labels.from_instances(given, classes, shape), predicted)
    dataset_scores = score_objects(*boxes)
    for kind in OBJECT_KINDS:
        values = dict(zip(ids, map(float, dataset_scores[kind]), strict=True))
        view.set_values(field_names.label_quality(source[0], kind), values, key_field="id")
    if pixels:
        view.set_values(field_names.label_quality(source[0], "pixels"), pixels, key_field="id")


def _corners(instance: Instance) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = instance.box
    return float(x0), float(y0), float(x1), float(y1)


def _instances(detections: Any, shape: tuple[int, int]) -> list[Instance]:
    """Those that can be read, a box without mask with all its pixels; classes as ``folded`` spells them."""
    instances = []
    for detection in detections.detections or ():
        try:
            instance = read_instance(detection, shape, box_suffices=True)
        except UnreadableInstanceError:
            continue
        instances.append(Instance(folded(instance.label), instance.mask, instance.confidence))
    return instances
