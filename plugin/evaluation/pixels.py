"""Pixel by pixel and along outlines: how far two fields of Detections agree on each class.

The masks of a class's instances count together, as in a semantic mask. One pass over the samples measures both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.boundary import match_boundaries
from diffucurate.plugin.comparison.marks import ANY_SIZE
from diffucurate.plugin.store.instances import UnreadableInstanceError, read_mask


@dataclass
class ClassPixels:
    """Of one class in all samples: pixels that both fields have, that at least one has, and the boundary F-scores of
    the images in which at least one has it."""

    shared: int = 0
    either: int = 0
    boundary: list[float] = field(default_factory=list)

    @property
    def iou(self) -> float | None:
        """Of all images' pixels together; None where there are none."""
        return self.shared / self.either if self.either else None

    @property
    def boundary_f(self) -> float | None:
        """The mean over the images; None where there are none."""
        return float(np.mean(self.boundary)) if self.boundary else None


def measure_pixels(samples: fo.DatasetView, prediction: str, truth: str) -> dict[str, ClassPixels]:
    """Label -> how far the Detections fields ``prediction`` and ``truth`` agree on its pixels.

    Instances without masks, or that cannot be read, have none.
    """
    measures: dict[str, ClassPixels] = defaultdict(ClassPixels)
    for sample in samples.select_fields([prediction, truth, "metadata"]).iter_samples():
        size = sample.metadata
        shape = (size.height, size.width) if size is not None and size.height and size.width else ANY_SIZE
        first, second = _class_masks(sample[prediction], shape), _class_masks(sample[truth], shape)
        for label in first.keys() | second.keys():
            masks = [each.get(label) for each in (first, second)]
            one, other = (np.zeros(shape, np.bool_) if mask is None else mask for mask in masks)
            measure = measures[label]
            measure.shared += int(np.count_nonzero(one & other))
            measure.either += int(np.count_nonzero(one | other))
            score = match_boundaries(one, other).f_score
            if score is not None:
                measure.boundary.append(score)
    return dict(measures)


def mean_iou(measures: Mapping[str, ClassPixels]) -> float | None:
    """The mean over the classes; None where there are none."""
    return _mean([each.iou for each in measures.values()])


def mean_boundary_f(measures: Mapping[str, ClassPixels]) -> float | None:
    """The mean over the classes; None where there are none."""
    return _mean([each.boundary_f for each in measures.values()])


def _mean(values: list[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


def _class_masks(detections: Any, shape: tuple[int, int]) -> dict[str, NDArray[np.bool_]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    for detection in (detections.detections or ()) if detections is not None else ():
        try:
            mask = read_mask(detection, shape)
        except UnreadableInstanceError:
            continue
        if detection.label in masks:
            masks[detection.label] |= mask
        elif detection.label:
            masks[detection.label] = mask
    return masks
