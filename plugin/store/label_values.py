"""Labels as FiftyOne's label types, and back as the same pixels.

Knows FiftyOne's formats, no models and no files: boxes are relative ``[x, y, width, height]``, a Detection's mask is
cropped to its box, a Polyline is a list of rings of relative points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import fiftyone as fo
import numpy as np

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.model import HUMAN, Instance, Labels
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.instances import NO_MASK, UnreadableInstanceError, read_instance, read_instances

if TYPE_CHECKING:
    from diffucurate.generator.labels.polygons import Ring


def label_fields(source: str, labels: Labels, mask_path: str) -> dict[str, fo.Label]:
    """The values of a label source's three fields; ``mask_path`` is where the semantic mask was written."""
    return {
        field_names.mask(source): fo.Segmentation(mask_path=mask_path),
        field_names.polygons(source): fo.Polylines(polylines=[to_polyline(instance) for instance in labels.instances]),
        field_names.instances(source): fo.Detections(
            detections=[to_detection(instance) for instance in labels.instances]
        ),
    }


def to_detection(instance: Instance) -> fo.Detection:
    """A Detection with the tight relative box, the mask cropped to it unless only the box is known, and its share of
    the image as ``area``."""
    height, width = instance.mask.shape
    x0, y0, x1, y1 = instance.box
    return fo.Detection(
        label=instance.label,
        bounding_box=[x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height],
        mask=None if instance.boxed else instance.mask[y0:y1, x0:x1],
        confidence=float(instance.confidence),
        tags=[HUMAN] if HUMAN in instance.found_by else [],
        **{field_names.AREA: instance.area / instance.mask.size},
        **({field_names.REFINED: True} if instance.refined else {}),
        **({field_names.FOUND_BY: list(instance.found_by)} if instance.found_by else {}),
    )


def to_polyline(instance: Instance) -> fo.Polyline:
    """A closed, filled Polyline of all rings, outer ones and holes, simplified: points are what samples cost most.

    The App fills every ring, holes included; the exact pixels are in the Detection.
    """
    height, width = instance.mask.shape
    from diffucurate.generator.labels.polygons import simplify

    rings = [ring for polygon in simplify(instance.polygons) for ring in polygon]
    return fo.Polyline(
        label=instance.label,
        points=[_relative(ring, width, height) for ring in rings],
        closed=True,
        filled=True,
        confidence=float(instance.confidence),
        **{field_names.AREA: instance.area / instance.mask.size},
    )


def _relative(ring: Ring, width: int, height: int) -> list[tuple[float, float]]:
    return [(float(x) / width, float(y) / height) for x, y in ring]


def from_detection(detection: fo.Detection, shape: tuple[int, int]) -> Instance | None:
    """The Instance of a Detection in an image of (height, width) ``shape``; None where its mask is empty.

    What lies outside the image is cut off. A Detection without confidence, such as ground truth, counts as certain.

    Raises:
        DatasetError: the Detection has no mask.
        ValueError: its mask cannot be read.
    """
    try:
        return read_instance(detection, shape)
    except UnreadableInstanceError as error:
        if str(error) == NO_MASK:
            raise DatasetError(f"an instance of '{detection.label}' {NO_MASK.removeprefix('it ')}") from None
        if error.__cause__ is not None:
            raise
        return None


def instances_of(detections: fo.Detections, shape: tuple[int, int]) -> list[Instance]:
    """The Instances of a Detections field, in its order; those that cannot be read are left out (``instances``)."""
    return read_instances(detections, shape).instances


def with_classes(labels: Labels, classes: Sequence[str]) -> Labels:
    """The same Labels with the ids of ``classes``, which must include all classes of the instances."""
    if labels.classes == tuple(classes):
        return labels
    ids = np.arange(256, dtype=np.uint8)
    for index, name in enumerate(labels.classes):
        if name in classes:
            ids[1 + index] = 1 + list(classes).index(name)
    return Labels(ids[labels.semantic], labels.instances, tuple(classes))
