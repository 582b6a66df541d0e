"""The objects of any field of labels: detections, polylines or a segmentation, each with its pixels.

An object that has a box but no mask counts as its whole box. Of a segmentation each connected part of a class is an
object. Knows FiftyOne's label types; which object is wanted is the caller's matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import cv2
import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import DatasetError, PictureError
from diffucurate.generator.labels.polygons import polygons_to_mask
from diffucurate.plugin import fields
from diffucurate.plugin.samples import from_detection
from diffucurate.plugin.sources import sources_in

#: The labels that have objects; those with one object alone count too.
KINDS = (fo.Detections, fo.Polylines, fo.Segmentation, fo.Detection, fo.Polyline)


class Thing(NamedTuple):
    """An object: ``mask`` is (H, W) bool at the image's size, ``confidence`` None where nobody said."""

    id: str
    label: str
    mask: NDArray[np.bool_]
    confidence: float | None


class LabelField(NamedTuple):
    """A field with objects, and what the values of its masks mean where it holds segmentations."""

    name: str
    targets: Mapping[int, str]


def label_field(dataset: fo.Dataset, name: str) -> LabelField:
    """The field of a label source's instances, or of that very name.

    Raises:
        DatasetError: the dataset has neither, or does not say what a segmentation's ids mean.
    """
    own = [fields.instances(name)] if name.isidentifier() and not name.startswith("_") else []
    for path in (*own, name):
        kind = dataset.get_field(path)
        if isinstance(kind, fo.EmbeddedDocumentField) and kind.document_type in KINDS:
            targets = dataset.mask_targets.get(path) or dataset.default_mask_targets or {}
            named = {int(value): label for value, label in targets.items() if str(value).isdecimal()}
            if kind.document_type is fo.Segmentation and not named:
                remedy = f"set dataset.mask_targets['{path}'], as in {{1: 'car'}}"
                raise DatasetError(f"dataset '{dataset.name}' does not say what the ids in '{path}' mean; {remedy}")
            return LabelField(path, named)
    present = with_objects(dataset)
    there = f"it has {', '.join(present)}" if present else "it has none; label it first"
    raise DatasetError(f"dataset '{dataset.name}' has no labels '{name}' with objects; {there}")


def with_objects(dataset: fo.Dataset) -> list[str]:
    """The names that ``label_field`` takes: label sources with instances first, then other fields, each in order."""
    schema = dataset.get_field_schema(ftype=fo.EmbeddedDocumentField)
    sources = sources_in(dataset)
    ours = {name(source) for source in sources for name in (fields.instances, fields.polygons, fields.mask)}
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


def names_in(value: Any, field: LabelField) -> list[tuple[str, str]]:
    """(id, label) of each object; masks are looked at for segmentations only.

    Raises:
        PictureError: a segmentation's mask cannot be read.
    """
    if isinstance(value, fo.Segmentation):
        return [(thing.id, thing.label) for thing in _parts(value, field)]
    return [(one.id, one.label) for one in _listed(value)]


def things_in(value: Any, shape: tuple[int, int], field: LabelField) -> list[Thing]:
    """The objects of a field's value in an image of (height, width) ``shape``, in its order, empty ones included.

    Raises:
        PictureError: a segmentation's mask cannot be read, is in colours or has another size than the image.
    """
    if isinstance(value, fo.Segmentation):
        found = list(_parts(value, field))
        if found and found[0].mask.shape != shape:
            (height, width), (rows, columns) = found[0].mask.shape, shape
            raise PictureError(f"the mask in '{field.name}' is {width} x {height} px, the image {columns} x {rows} px")
        return found
    return [Thing(one.id, one.label, _mask(one, shape), one.confidence) for one in _listed(value)]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, fo.Detections | fo.Polylines):
        return list(value.detections if isinstance(value, fo.Detections) else value.polylines)
    return [value]


def _mask(label: fo.Detection | fo.Polyline, shape: tuple[int, int]) -> NDArray[np.bool_]:
    if isinstance(label, fo.Polyline):
        return _filled(label, shape)
    if not label.has_mask:
        label = fo.Detection(label=label.label, bounding_box=label.bounding_box, mask=np.ones((1, 1), np.bool_))
    try:
        instance = from_detection(label, shape)
    except (OSError, ValueError) as error:
        raise PictureError(f"the mask of an instance of '{label.label}' cannot be read") from error
    return np.zeros(shape, np.bool_) if instance is None else instance.mask


def _filled(polyline: fo.Polyline, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels within a polyline's rings; a ring within another is a hole."""
    rings = [(np.array(ring) * (shape[1], shape[0])).astype(np.float32) for ring in polyline.points if len(ring) > 2]
    return polygons_to_mask([rings] if rings else [], shape)


def _parts(value: fo.Segmentation, field: LabelField) -> Iterator[Thing]:
    """The connected parts of each class, the largest first."""
    try:
        pixels = value.get_mask()
    except (OSError, ValueError) as error:
        raise PictureError(f"the mask file '{value.mask_path}' cannot be read") from error
    if pixels is None:
        raise PictureError(f"the segmentation in '{field.name}' has no mask")
    if pixels.ndim != 2:
        raise PictureError(f"the mask in '{field.name}' is in colours; use one whose pixels are class ids")
    for number in np.unique(pixels):
        label = field.targets.get(int(number))
        if number == 0 or label is None:
            continue
        _, numbered, facts, _ = cv2.connectedComponentsWithStats((pixels == number).astype(np.uint8))
        order = np.argsort(-facts[1:, cv2.CC_STAT_AREA], kind="stable")
        for index, part in enumerate(order):
            yield Thing(f"{label}-{index}", label, numbered == part + 1, None)
