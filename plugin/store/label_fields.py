"""Which fields of a dataset hold labels with pixels or objects. Light: forms ask it at every keystroke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.text.class_names import some_of
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import sources_in

#: The kinds of labels that have pixels; of Detections only those with masks have.
LEARNABLE = (fo.Detections, fo.Polylines, fo.Segmentation)

#: The kinds that have objects; those with one object alone count too.
KINDS = (*LEARNABLE, fo.Detection, fo.Polyline)


class LabelField(NamedTuple):
    """A field with objects, and what the values of its masks mean where it holds segmentations."""

    name: str
    targets: Mapping[int, str]


def label_field(dataset: fo.Dataset, name: str) -> LabelField:
    """The field of a label source's instances, or of that very name.

    Raises:
        DatasetError: the dataset has neither, or does not say what a segmentation's ids mean.
    """
    own = [field_names.instances(name)] if name.isidentifier() and not name.startswith("_") else []
    for path in (*own, name):
        if _kind(dataset.get_field(path)) in KINDS:
            return described_field(dataset, path)
    present = with_objects(dataset)
    there = f"it has {some_of(present)}" if present else "it has none; label it first"
    raise DatasetError(f"dataset '{dataset.name}' has no labels '{name}' with objects; {there}")


def described_field(dataset: fo.Dataset, path: str) -> LabelField:
    """The field of that very name, which is of one of ``KINDS``.

    Raises:
        DatasetError: the dataset does not say what a segmentation's ids mean.
    """
    targets = dataset.mask_targets.get(path) or dataset.default_mask_targets or {}
    named = {int(value): label for value, label in targets.items() if str(value).isdecimal()}
    if _kind(dataset.get_field(path)) is fo.Segmentation and not named:
        remedy = f"set dataset.mask_targets['{path}'], as in {{1: 'car'}}"
        raise DatasetError(f"dataset '{dataset.name}' does not say what the ids in '{path}' mean; {remedy}")
    return LabelField(path, named)


def with_objects(dataset: fo.Dataset) -> list[str]:
    """The names that ``label_field`` takes: label sources with instances first, then other fields, each in order."""
    schema = dataset.get_field_schema(ftype=fo.EmbeddedDocumentField)
    sources = sources_in(dataset)
    ours = {
        name(source) for source in sources for name in (field_names.instances, field_names.polygons, field_names.mask)
    }
    return [
        *sources,
        *sorted(path for path, kind in schema.items() if kind.document_type in KINDS and path not in ours),
    ]


def labels_of(samples: fo.Dataset | fo.DatasetView, field: LabelField) -> list[str]:
    """The labels that the objects of some samples can have, in alphabetical order."""
    kind = samples.get_field(field.name).document_type
    if kind is fo.Segmentation:
        return sorted({label for value, label in field.targets.items() if value != 0})
    inner = {fo.Detections: ".detections", fo.Polylines: ".polylines"}.get(kind, "")
    return sorted(label for label in samples.distinct(f"{field.name}{inner}.label") if label)


def learnable(dataset: fo.Dataset) -> list[str]:
    """The fields that have pixels to learn from, in alphabetical order."""
    return sorted(name for name, field in dataset.get_field_schema().items() if _kind(field) in LEARNABLE)


def learnable_field(dataset: fo.Dataset, name: str) -> LabelField:
    """The field of that name, which has pixels to learn from.

    Raises:
        DatasetError: it has none, or the dataset does not say what a segmentation's ids mean.
    """
    usable = learnable(dataset)
    if name in usable:
        return described_field(dataset, name)
    there = some_of(usable) or "none; draw masks in the App first"
    raise DatasetError(
        f"dataset '{dataset.name}' has no field '{name}' of detections, polylines or segmentations; there are: {there}"
    )


def _kind(field: fo.Field | None) -> type | None:
    return field.document_type if isinstance(field, fo.EmbeddedDocumentField) else None
