"""Class heatmaps -> Labels: the way from attention to masks, instances and confidences. Knows only arrays.

Per class: bicubic up-sampling, refinement along the image's edges where the image is given, Otsu's threshold over
the whole map and once more around each object; then classes compete for pixels; then each object is cleaned by
amounts relative to its own size and given a confidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.confidence import confidences
from diffucurate.generator.labels.edges import EdgeGuide
from diffucurate.generator.labels.instances import objects
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.morphology import fill_holes, grow, smooth
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings
from diffucurate.generator.labels.thresholds import otsu


def labels_from_heatmaps(
    heatmaps: Mapping[str, NDArray[np.floating]],
    shape: tuple[int, int],
    classes: Sequence[str],
    settings: LabelSettings = DEFAULT_SETTINGS,
    image: NDArray[np.uint8] | None = None,
) -> Labels:
    """Labels of one image from the raw maps of the classes in its prompt.

    Args:
        heatmaps: class -> (h, w) nonnegative raw map at any resolution, for some, all or none of ``classes``.
        shape: height and width of the image in pixels.
        classes: all classes; class id = 1 + index.
        settings: how the maps are cut.
        image: (H, W, 3) uint8 RGB, the image itself: outlines then follow its edges, which the maps are too coarse
            to know.

    Returns:
        Labels whose instances are ordered by class, then by size. A map without any signal (all one value)
        gives no instance; no instance at all is legal.

    Raises:
        LabelError: a map of a class that is not in ``classes``, that is not (h, w), or holds NaN, infinity or
            negative numbers; a shape that is not positive; an image that is not uint8 (*shape, 3).
    """
    raw = _upsampled(heatmaps, shape, classes)
    if image is not None:
        raw = _refined(raw, shape, image, settings)
    normalised = {label: _min_max(heat) for label, heat in raw.items()}
    owned = _compete(normalised, {label: _cut(heat, settings) for label, heat in normalised.items()})
    taken = np.logical_or.reduce([np.zeros(shape, np.bool_), *owned.values()])

    instances = []
    for label in (label for label in classes if label in raw):
        free = owned[label] | ~taken  # cleaning must not grow into another class's pixels
        blobs = objects(owned[label], settings.min_area, settings.min_share)
        cleaned = np.zeros(shape, np.bool_)
        for blob in blobs:
            cleaned |= smooth(fill_holes(blob, settings.max_hole), settings.opening, settings.closing) & free
        masks = objects(cleaned, settings.min_area, settings.min_share)
        others = [normalised[other] for other in raw if other != label]
        lead = normalised[label] - np.maximum.reduce(others) if others else None
        for mask, score in zip(masks, confidences(masks, raw[label], lead), strict=True):
            if score >= settings.min_confidence:
                instances.append(Instance(label, mask, score))
    return Labels.from_instances(instances, classes, shape)


def normalised_heatmaps(
    heatmaps: Mapping[str, NDArray[np.floating]], shape: tuple[int, int]
) -> dict[str, NDArray[np.float32]]:
    """Maps to look at: class -> (H, W) float32 at the image's size, min-max normalised to [0, 1].

    A map of one value becomes 0 throughout. Errors as for ``labels_from_heatmaps``.
    """
    return {label: _min_max(heat) for label, heat in _upsampled(heatmaps, shape, tuple(heatmaps)).items()}


def _upsampled(
    heatmaps: Mapping[str, NDArray[np.floating]], shape: tuple[int, int], classes: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Checked raw maps at (H, W), bicubic. Overshoots are clamped to the range of the map as it came."""
    height, width = shape
    if height < 1 or width < 1:
        raise LabelError(f"shape is {shape}, expected a positive height and width in pixels")
    resized = {}
    for label, heat in heatmaps.items():
        if label not in classes:
            raise LabelError(f"heatmap of class '{label}', expected one of {', '.join(classes)}")
        if heat.ndim != 2 or heat.size == 0:
            raise LabelError(f"heatmap of '{label}' has shape {heat.shape}, expected (h, w)")
        if not np.isfinite(heat).all() or heat.min() < 0:
            raise LabelError(f"heatmap of '{label}' holds NaN, infinity or negative numbers; pass the raw map")
        source = np.ascontiguousarray(heat, np.float32)
        large = cv2.resize(source, (width, height), interpolation=cv2.INTER_CUBIC)
        resized[label] = np.clip(large, source.min(), source.max()).astype(np.float32)
    return resized


def _refined(
    raw: dict[str, NDArray[np.float32]], shape: tuple[int, int], image: NDArray[np.uint8], settings: LabelSettings
) -> dict[str, NDArray[np.float32]]:
    """The maps of an image with their steps where the image has its edges."""
    if image.dtype != np.uint8 or image.shape != (*shape, 3):
        raise LabelError(f"image is {image.dtype} {image.shape}, expected uint8 {(*shape, 3)}")
    if not raw or settings.edge_reach == 0:
        return raw
    guide = EdgeGuide(image, settings.edge_reach, settings.edge_contrast)
    return {label: guide.refine(heat) for label, heat in raw.items()}


def _min_max(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = float(heat.min()), float(heat.max())
    # Rounding of the interpolation must not be blown up to a signal.
    if high - low <= 1e-5 * high:
        return np.zeros_like(heat)
    return (heat - np.float32(low)) / np.float32(high - low)


def _cut(heat: NDArray[np.float32], settings: LabelSettings) -> NDArray[np.bool_]:
    """The pixels of one class before it competes. ``heat`` is normalised.

    The second threshold, around each object, suits objects of unlike brightness and blobs that are small
    in the image, which a threshold over the whole map cuts too wide.
    """
    mask = heat > max(settings.floor, otsu(heat))
    if settings.surround == 0:
        return mask
    refined = np.zeros_like(mask)
    for blob in objects(mask, settings.min_area, settings.min_share):
        near = grow(blob, settings.surround)
        refined |= near & (heat > otsu(heat[near]))
    return refined


def _compete(
    normalised: Mapping[str, NDArray[np.float32]], masks: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.bool_]]:
    """Each pixel goes to the class with the highest normalised heat among those whose mask holds it."""
    if not masks:
        return {}
    claims = np.stack([np.where(masks[label], normalised[label], -1) for label in masks])
    winner = claims.argmax(axis=0)
    return {label: masks[label] & (winner == index) for index, label in enumerate(masks)}
