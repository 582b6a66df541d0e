"""The objects of any field of labels: detections, polylines or a segmentation, each with its pixels.

An object that has a box but no mask counts as its whole box. Of a segmentation each connected part of a class is an
object. ``label_fields`` lists the fields; the caller chooses the object.
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
from diffucurate.plugin.store.label_fields import LabelField
from diffucurate.plugin.store.label_values import from_detection


class LabelledObject(NamedTuple):
    """An object: ``mask`` is (H, W) bool at the image's size, ``confidence`` None where unknown."""

    id: str
    label: str
    mask: NDArray[np.bool_]
    confidence: float | None


def labels_in(value: Any, field: LabelField) -> list[tuple[str, str]]:
    """(id, label) of each object; masks are looked at for segmentations only.

    Raises:
        ImageError: a segmentation's mask cannot be read.
    """
    if isinstance(value, fo.Segmentation):
        return [(part.id, part.label) for part in _parts(value, field)]
    return [(label.id, label.label) for label in _listed(value)]


def objects_in(value: Any, shape: tuple[int, int], field: LabelField) -> list[LabelledObject]:
    """The objects of a field's value in an image of (height, width) ``shape``, in its order, empty ones included.

    Raises:
        ImageError: a segmentation's mask cannot be read, is in colours or has another size than the image.
    """
    if isinstance(value, fo.Segmentation):
        parts = list(_parts(value, field))
        if parts and parts[0].mask.shape != shape:
            (height, width), (rows, columns) = parts[0].mask.shape, shape
            raise ImageError(f"the mask in '{field.name}' is {width} x {height} px, the image {columns} x {rows} px")
        return parts
    return [LabelledObject(label.id, label.label, _mask(label, shape), label.confidence) for label in _listed(value)]


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
        raise ImageError(f"the mask of an instance of '{label.label}' cannot be read") from error
    return np.zeros(shape, np.bool_) if instance is None else instance.mask


def _filled(polyline: fo.Polyline, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels within a polyline's rings; a ring within another is a hole."""
    rings = [(np.array(ring) * (shape[1], shape[0])).astype(np.float32) for ring in polyline.points if len(ring) > 2]
    return polygons_to_mask([rings] if rings else [], shape)


def _parts(value: fo.Segmentation, field: LabelField) -> Iterator[LabelledObject]:
    """The connected parts of each class, the largest first."""
    try:
        pixels = value.get_mask()
    except (OSError, ValueError) as error:
        raise ImageError(f"the mask file '{value.mask_path}' cannot be read") from error
    if pixels is None:
        raise ImageError(f"the segmentation in '{field.name}' has no mask")
    if pixels.ndim != 2:
        raise ImageError(f"the mask in '{field.name}' is in colours; use one whose pixels are class ids")
    for number in np.unique(pixels):
        label = field.targets.get(int(number))
        if number == 0 or label is None:
            continue
        parts = sorted(components(pixels == number), key=np.count_nonzero, reverse=True)
        for index, part in enumerate(parts):
            yield LabelledObject(f"{label}-{index}", label, part, None)
