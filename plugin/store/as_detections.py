"""Fields of other labels as sources: polylines, segmentations and single objects become Detections of the same pixels.

What compares, fuses, curates and exports reads Detections. Those that are made of a field ``truth`` stand in
``truth_instances``, are made again where the field has changed since, and keep their marks where it has not. The field
itself is only read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, ImageError
from diffucurate.generator.labels.model import Instance
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import classes_in, read_classes
from diffucurate.plugin.store.image_size import image_size
from diffucurate.plugin.store.label_fields import (
    KINDS,
    LabelField,
    described_field,
    label_field,
    labels_of,
    with_objects,
)
from diffucurate.plugin.store.label_sources import comparable, instances_field
from diffucurate.plugin.store.label_values import to_detection
from diffucurate.plugin.store.samples import all_images
from diffucurate.plugin.store.schema import declare_instances

logger = logging.getLogger(__name__)

#: The key in the information of a field of Detections that names the field they were made of.
_MADE_OF = "made_of"

#: The attribute of Detections that were made of other labels: a digest of these, by which changes are noticed.
_DIGEST = "made_of_digest"

#: Samples whose labels are held in memory at once.
_AT_ONCE = 200


def sources_and_fields(dataset: fo.Dataset) -> list[str]:
    """The names that ``detections_field`` takes: sources, fields of detections, then fields of other labels."""
    present = comparable(dataset)
    others = [name for name in with_objects(dataset) if name not in present and _is_readable(dataset, name)]
    return [*present, *(name for name in others if field_names.part(name) not in present)]


def classes_of(dataset: fo.Dataset, name: str) -> list[str]:
    """The dataset's classes, then any others of a source's or field's labels, also where these are no Detections yet.

    Raises:
        DatasetError: the dataset has no such labels.
    """
    if name in comparable(dataset):
        return classes_in(dataset, instances_field(dataset, name))
    labels = labels_of(all_images(dataset), label_field(dataset, name))
    return list(dict.fromkeys([*read_classes(dataset), *labels]))


def detections_field(samples: fo.Dataset | fo.DatasetView, dataset: fo.Dataset, name: str) -> str:
    """The Detections field of a label source, of that very name, or made of the labels of that name.

    Labels of another kind are read whole: a view's filters on them do not count. An image whose size is unknown, or
    whose segmentation cannot be read, gets none.

    Raises:
        DatasetError: the dataset has no such labels, or does not say what a segmentation's ids mean.
    """
    if not _is_other_kind(dataset, name):
        return instances_field(dataset, name)
    made = field_names.instances(field_names.part(name))
    there = dataset.get_field(made)
    if there is not None and _origin(there) != name:
        return instances_field(dataset, name)
    field = described_field(dataset, name)
    if there is None:
        declare_instances(dataset, made)
        there = dataset.get_field(made)
        there.info = {field_names.INFO: {_MADE_OF: name}}
        there.description = f"The objects of '{name}' as detections; made again where it changes"
        there.save()
    _refresh(samples, dataset, field, made)
    return made


def _is_other_kind(dataset: fo.Dataset, name: str) -> bool:
    field = dataset.get_field(name)
    return (
        isinstance(field, fo.EmbeddedDocumentField)
        and field.document_type in KINDS
        and field.document_type is not fo.Detections
    )


def _is_readable(dataset: fo.Dataset, name: str) -> bool:
    """Whether a field's labels have names; segmentations whose ids nobody named have none."""
    try:
        label_field(dataset, name)
    except DatasetError:
        return False
    return True


def _origin(field: fo.Field) -> str | None:
    """The field that Detections were made of; None where they were not."""
    info = (field.info or {}).get(field_names.INFO)
    return info.get(_MADE_OF) if isinstance(info, dict) else None


def _refresh(samples: fo.Dataset | fo.DatasetView, dataset: fo.Dataset, field: LabelField, made: str) -> None:
    """Make the Detections of samples whose labels have changed since they were made."""
    changed: dict[str, fo.Detections | None] = {}
    view = all_images(dataset).select(samples.values("id")).select_fields([field.name, made, "metadata"])
    for identifier, detections in _changed(view, field, made):
        changed[identifier] = detections
        if len(changed) == _AT_ONCE:
            all_images(dataset).set_values(made, changed, key_field="id")
            changed = {}
    if changed:
        all_images(dataset).set_values(made, changed, key_field="id")


def _changed(samples: fo.DatasetView, field: LabelField, made: str) -> Iterator[tuple[str, fo.Detections | None]]:
    for sample in samples.iter_samples():
        value, before = sample[field.name], sample[made]
        if value is None:
            if before is not None:
                yield sample.id, None
            continue
        digest = _digest(value, field)
        if before is not None and before.has_field(_DIGEST) and before[_DIGEST] == digest:
            continue
        shape = image_size(sample)
        if shape is None:
            logger.warning("%s: its size is unknown; '%s' was left out", sample.filepath, field.name)
            continue
        try:
            yield sample.id, _made(value, field, shape, digest, sample.filepath)
        except ImageError as error:
            logger.warning("%s: %s", sample.filepath, error)
            yield sample.id, None


def _made(value: Any, field: LabelField, shape: tuple[int, int], digest: str, path: str) -> fo.Detections:
    from diffucurate.plugin.store.label_objects import objects_in  # forms list fields without what reads them

    read = objects_in(value, shape, field)
    for reason in read.left_out.values():
        logger.warning("%s, %s: %s", path, field.name, reason)
    labels = {label.id: label for label in _labels(value)}
    detections = []
    for each in read.objects:
        detection = to_detection(Instance(each.label, each.mask, 1.0 if each.confidence is None else each.confidence))
        detection.confidence = each.confidence
        if label := labels.get(each.id):
            detection.tags = list(label.tags or ())
            if isinstance(label, fo.Detection) and not label.has_mask:
                detection.mask, detection.bounding_box = None, label.bounding_box
        detections.append(detection)
    return fo.Detections(detections=detections, **{_DIGEST: digest})


def _labels(value: Any) -> list[Any]:
    if isinstance(value, fo.Segmentation):
        return []
    inner = getattr(value, "polylines", None) or getattr(value, "detections", None)
    return [value] if isinstance(value, fo.Polyline | fo.Detection) else list(inner or ())


def _digest(value: Any, field: LabelField) -> str:
    """Differs wherever labels, their outlines, pixels or tags do; a mask file counts by its name, size and time."""
    file = None
    path = getattr(value, "mask_path", None)
    if path and os.path.isfile(path):
        status = os.stat(path)
        file = (status.st_size, status.st_mtime_ns)
    parts = [value.to_dict(), file, sorted(field.targets.items())]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]
