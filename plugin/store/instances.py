"""The one reader of instances: detections of any origin become Instances, and what cannot be read is said, not raised.

Labels come from many tools. What lies outside of the image is cut off, a mask of another size than its box is scaled to
it; whatever has no pixels after that, or makes no sense, is left out with a reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.model import HUMAN, Instance

#: The attribute by which COCO marks a region of many objects that nobody told apart.
CROWD = "iscrowd"

NO_MASK = "it has no mask, only a box; draw masks, or use a source that gives them"


class UnreadableInstanceError(ValueError):
    """Why a detection is no instance, as the end of a sentence."""


@dataclass
class ReadInstances:
    """The instances of one sample, in their order.

    ``crowds`` are the indices of those that are regions of many objects; ``left_out`` has the id of each detection that
    is no instance, and why.
    """

    instances: list[Instance] = field(default_factory=list)
    crowds: set[int] = field(default_factory=set)
    left_out: dict[str, str] = field(default_factory=dict)


def read_instances(
    detections: fo.Detections | None, shape: tuple[int, int], *, box_suffices: bool = False
) -> ReadInstances:
    """All instances of a Detections field in an image of (height, width) ``shape``; see ``read_instance``."""
    read = ReadInstances()
    for detection in (detections.detections or []) if detections is not None else []:
        try:
            instance = read_instance(detection, shape, box_suffices=box_suffices)
        except UnreadableInstanceError as reason:
            read.left_out[str(detection.id)] = described(detection, reason)
            continue
        if is_crowd(detection):
            read.crowds.add(len(read.instances))
        read.instances.append(instance)
    return read


def read_instance(detection: fo.Detection, shape: tuple[int, int], *, box_suffices: bool = False) -> Instance:
    """The Instance of a Detection in an image of (height, width) ``shape``.

    One without confidence, such as ground truth, or whose confidence is no number, counts as certain; with
    ``box_suffices`` one that has no mask is ``boxed``, with all the pixels of its box.

    Raises:
        UnreadableInstanceError: it has no label, no mask, a box that is none, or no pixels in the image.
    """
    confidence = read_confidence(detection.confidence)
    mask = read_mask(detection, shape, box_suffices=box_suffices)
    boxed = box_suffices and not detection.has_mask
    return Instance(read_label(detection), mask, 1.0 if confidence is None else confidence, boxed=boxed)


def read_drawn(detections: fo.Detections | None, shape: tuple[int, int]) -> list[Instance]:
    """The instances that a person drew or mended, by their label tag ``human``; those that can be read."""
    drawn = [each for each in (detections.detections or []) if HUMAN in (each.tags or ())] if detections else []
    return read_instances(fo.Detections(detections=drawn), shape).instances


def read_label(detection: fo.Label) -> str:
    """The class that a label names.

    Raises:
        UnreadableInstanceError: it names none.
    """
    if not isinstance(detection.label, str) or not detection.label:
        raise UnreadableInstanceError("it has no label")
    return detection.label


def read_mask(detection: fo.Detection, shape: tuple[int, int], *, box_suffices: bool = False) -> NDArray[np.bool_]:
    """The pixels of a Detection in an image of (height, width) ``shape``, (height, width) bool with at least one.

    With ``box_suffices`` one that has no mask has all the pixels of its box.

    Raises:
        UnreadableInstanceError: it has no mask, a box that is none, or no pixels in the image.
    """
    whole = box_suffices and not detection.has_mask
    crop = np.ones((1, 1), np.bool_) if whole else _mask(detection)
    if not crop.any():
        raise UnreadableInstanceError("its mask is empty")
    mask = _placed(crop, _box(detection.bounding_box), shape)
    if not mask.any():
        raise UnreadableInstanceError("it has no pixels in the image")
    return mask


def read_confidence(value: Any) -> float | None:
    """A label's confidence in [0, 1]; None where there is none, or anything but a number."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return min(max(float(value), 0.0), 1.0)


def described(label: fo.Label, reason: Exception | str) -> str:
    """Why a label was left out, as a clause that names its class."""
    return f"an instance of '{str(label.label)[:60]}' was left out: {reason}"


def is_crowd(detection: fo.Detection) -> bool:
    """Whether a detection is a region of many objects."""
    return detection.has_field(CROWD) and bool(detection[CROWD])


def _mask(detection: fo.Detection) -> NDArray[np.bool_]:
    try:
        values: Any = detection.get_mask()
    except Exception as error:  # FiftyOne, Pillow and the file system each have their own
        raise UnreadableInstanceError(f"its mask cannot be read ({str(error)[:100]})") from error
    if values is None:
        raise UnreadableInstanceError(NO_MASK)
    mask = np.asarray(values)
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.ndim != 2:
        raise UnreadableInstanceError(f"its mask has {mask.ndim} dimensions, not 2")
    if not mask.size:
        raise UnreadableInstanceError("its mask has no pixels")
    return np.nan_to_num(mask).astype(np.bool_) if mask.dtype.kind == "f" else mask.astype(np.bool_)


def _box(box: Any) -> tuple[float, float, float, float]:
    """The box, relative (x, y, width, height)."""
    try:
        x, y, width, height = (float(value) for value in box)
    except (TypeError, ValueError):
        raise UnreadableInstanceError(f"its box is {str(box)[:60]}, not four numbers") from None
    if not all(math.isfinite(value) for value in (x, y, width, height)):
        raise UnreadableInstanceError("its box holds a value that is no finite number")
    if width < 0 or height < 0:
        raise UnreadableInstanceError("its box has a negative size")
    return x, y, width, height


def _placed(
    crop: NDArray[np.bool_], box: tuple[float, float, float, float], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """A mask, cropped to a box, in the image; scaled to the box without smoothing."""
    mask = np.zeros(shape, np.bool_)
    x, y, width, height = box
    left, right, columns = _span(x, width, shape[1], crop.shape[1])
    top, bottom, rows = _span(y, height, shape[0], crop.shape[0])
    if left < right and top < bottom:
        mask[top:bottom, left:right] = crop[np.ix_(rows, columns)]
    return mask


def _span(start: float, length: float, pixels: int, values: int) -> tuple[int, int, NDArray[np.int_]]:
    """The pixels from a relative start on that lie in the image, [first, last), and the mask's value for each."""
    nothing = np.zeros(0, np.int_)
    if start >= 1 or start + length <= 0:
        return 0, 0, nothing
    if max(abs(start), length) * pixels > 2**31:
        raise UnreadableInstanceError("its box is larger than any image")
    first = min(round(start * pixels), pixels - 1)
    last = max(round((start + length) * pixels), first + 1)
    inside = np.arange(max(first, 0), min(last, pixels))
    if not inside.size:
        return 0, 0, nothing
    return int(inside[0]), int(inside[-1]) + 1, ((inside - first + 0.5) * values / (last - first)).astype(np.int_)
