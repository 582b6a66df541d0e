"""The objects of any field of labels: detections, polylines or a segmentation, each with its pixels.

An object that has a box but no mask counts as its whole box. Of a segmentation each connected part of a class is an
object. ``label_fields`` lists the fields; the caller chooses the object. What cannot be read is said, as in
``instances``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import ImageError
from diffucurate.generator.labels.masks.components import components
from diffucurate.generator.labels.polygons import polygons_to_mask
from diffucurate.plugin.store.instances import (
    UnreadableInstanceError,
    described,
    read_confidence,
    read_label,
    read_mask,
)
from diffucurate.plugin.store.label_fields import LabelField

#: Coordinates of outlines that may be drawn, as shares of the image; those of any object lie within [0, 1].
_FARTHEST = 100


class LabelledObject(NamedTuple):
    """An object: ``mask`` is (H, W) bool at the image's size and not empty, ``confidence`` None where unknown."""

    id: str
    label: str
    mask: NDArray[np.bool_]
    confidence: float | None


class ReadObjects(NamedTuple):
    """The objects of a field's value, in its order, and the id of each label that is none, with why."""

    objects: list[LabelledObject]
    left_out: dict[str, str]


def labels_in(value: Any, field: LabelField) -> list[tuple[str, str]]:
    """(id, label) of each object; masks are looked at for segmentations only.

    Raises:
        ImageError: a segmentation's mask cannot be read.
    """
    if isinstance(value, fo.Segmentation):
        return [(part.id, part.label) for part in _parts(value, field)]
    return [(label.id, label.label) for label in _listed(value)]


def objects_in(value: Any, shape: tuple[int, int], field: LabelField) -> ReadObjects:
    """The objects of a field's value in an image of (height, width) ``shape``.

    Raises:
        ImageError: a segmentation's mask cannot be read, is in colours or has another size than the image.
    """
    if isinstance(value, fo.Segmentation):
        parts = list(_parts(value, field))
        if parts and parts[0].mask.shape != shape:
            (height, width), (rows, columns) = parts[0].mask.shape, shape
            raise ImageError(f"the mask in '{field.name}' is {width} x {height} px, the image {columns} x {rows} px")
        return ReadObjects(parts, {})
    read = ReadObjects([], {})
    for label in _listed(value):
        try:
            mask = (
                _outlined(label, shape)
                if isinstance(label, fo.Polyline)
                else read_mask(label, shape, box_suffices=True)
            )
            read.objects.append(LabelledObject(label.id, read_label(label), mask, read_confidence(label.confidence)))
        except UnreadableInstanceError as reason:
            read.left_out[str(label.id)] = described(label, reason)
    return read


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, fo.Detections | fo.Polylines):
        return list((value.detections if isinstance(value, fo.Detections) else value.polylines) or [])
    return [value]


def _outlined(polyline: fo.Polyline, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels within a polyline's rings; a ring within another is a hole."""
    try:
        points = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in polyline.points or () if len(ring) > 2]
    except (TypeError, ValueError):
        raise UnreadableInstanceError("its outline holds a point that is not two numbers") from None
    if not all(np.isfinite(ring).all() and np.abs(ring).max() < _FARTHEST for ring in points):
        raise UnreadableInstanceError("its outline holds a point that is far outside of the image, or no number")
    rings = [(ring * (shape[1], shape[0])).astype(np.float32) for ring in points]
    mask = polygons_to_mask([rings] if rings else [], shape)
    if not mask.any():
        raise UnreadableInstanceError("its outline has no pixels in the image")
    return mask


def _parts(value: fo.Segmentation, field: LabelField) -> Iterator[LabelledObject]:
    """The connected parts of each class, the largest first."""
    try:
        pixels: Any = value.get_mask()
    except Exception as error:  # FiftyOne, OpenCV and the file system each have their own
        raise ImageError(f"the mask file '{value.mask_path}' cannot be read") from error
    if pixels is None:
        raise ImageError(f"the segmentation in '{field.name}' has no mask")
    pixels = np.asarray(pixels)
    if pixels.ndim != 2:
        raise ImageError(f"the mask in '{field.name}' is in colours; use one whose pixels are class ids")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ImageError(f"the mask in '{field.name}' holds values that are no class ids")
    for number in np.unique(pixels):
        label = field.targets.get(int(number))
        if number == 0 or label is None:
            continue
        parts = sorted(components(pixels == number), key=np.count_nonzero, reverse=True)
        for index, part in enumerate(parts):
            yield LabelledObject(f"{label}-{index}", label, part, None)
