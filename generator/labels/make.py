"""Class heatmaps -> Labels: the way from attention to masks, instances and confidences. Knows only arrays.

Per class: bicubic up-sampling; where the image is given, refinement along its edges and a gamma that lifts the cooler
parts of an object; Otsu's threshold over the whole map and once more around each object. Then classes compete for
pixels; then each object is cleaned by amounts relative to its own size and given a confidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.confidence import confidences
from diffucurate.generator.labels.edges import EdgeGuide
from diffucurate.generator.labels.instances import objects, split_at_necks
from diffucurate.generator.labels.model import IGNORE, Instance, Labels
from diffucurate.generator.labels.morphology import fill_holes, grow, smooth
from diffucurate.generator.labels.regions import Regions
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings
from diffucurate.generator.labels.thresholds import agreement, otsu, steepest

#: How far from ``LabelSettings.floor`` a threshold is looked for.
_SEARCH = 0.2


def labels_from_heatmaps(
    heatmaps: Mapping[str, NDArray[np.floating]],
    shape: tuple[int, int],
    classes: Sequence[str],
    settings: LabelSettings = DEFAULT_SETTINGS,
    image: NDArray[np.uint8] | None = None,
    background: Sequence[str] = (),
) -> Labels:
    """Labels of one image from the raw maps of the classes in its prompt.

    Args:
        heatmaps: class -> (h, w) nonnegative raw map at any resolution, for some, all or none of ``classes`` and
            ``background``.
        shape: height and width of the image in pixels.
        classes: all classes; class id = 1 + index.
        settings: how the maps are cut.
        image: (H, W, 3) uint8 RGB, the image itself: outlines then follow its edges, which the maps are too coarse
            to know.
        background: names of maps of what is no object, such as "sky" or "road": they take part in the contest for
            pixels, and what they win belongs to no class.

    Returns:
        Labels whose instances are ordered by class, then by size. A map without any signal (all one value)
        gives no instance; no instance at all is legal.

    Raises:
        LabelError: a map of a class that is neither in ``classes`` nor in ``background``, that is not (h, w), or
            holds NaN, infinity or negative numbers; a shape that is not positive; an image that is not uint8
            (*shape, 3), or none where ``settings.cut`` is "agreement".
    """
    coarse = _upsampled(heatmaps, shape, (*classes, *background))
    guide = None if image is None else _guide(image, shape, settings)
    if guide is None:
        settings = _for_blurred_maps(settings)
    regions = None if image is None or not coarse else Regions(image)
    raw = coarse if guide is None else {label: guide.refine(heat) for label, heat in coarse.items()}
    normalised = {label: _min_max(heat) ** np.float32(settings.gamma) for label, heat in raw.items()}
    owned = _compete(normalised, {label: _cut(heat, settings, guide) for label, heat in normalised.items()})
    taken = np.logical_or.reduce([np.zeros(shape, np.bool_), *owned.values()])

    instances = []
    for label in (label for label in classes if label in raw):
        free = owned[label] | ~taken  # cleaning must not grow into another class's pixels
        blobs = objects(owned[label], settings.min_area, settings.min_share)
        cleaned = np.zeros(shape, np.bool_)
        for blob in blobs:
            cleaned |= smooth(fill_holes(blob, settings.max_hole), settings.opening, settings.closing) & free
        masks = [
            part
            for mask in objects(cleaned, settings.min_area, settings.min_share)
            for part in split_at_necks(mask, settings.split)
        ]
        masks.sort(key=np.count_nonzero, reverse=True)
        scores = confidences(masks, raw[label], None if image is None else coarse[label], regions)
        instances += [
            Instance(label, mask, score)
            for mask, score in zip(masks, scores, strict=True)
            if score >= settings.min_confidence
        ]
    labels = Labels.from_instances(instances, classes, shape)
    if settings.ignore_band == 0:
        return labels
    heats = [normalised[label] for label in classes if label in raw]
    hottest = np.maximum.reduce([np.zeros(shape, np.float32), *heats])
    unsure = (labels.semantic == 0) & (hottest > settings.floor - settings.ignore_band)
    return replace(labels, semantic=np.where(unsure, np.uint8(IGNORE), labels.semantic))


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


def _guide(image: NDArray[np.uint8], shape: tuple[int, int], settings: LabelSettings) -> EdgeGuide | None:
    """What brings maps to the image's edges, None where the settings ask for none."""
    if image.dtype != np.uint8 or image.shape != (*shape, 3):
        raise LabelError(f"image is {image.dtype} {image.shape}, expected uint8 {(*shape, 3)}")
    return None if settings.edge_reach == 0 else EdgeGuide(image, settings.edge_reach, settings.edge_contrast)


def _for_blurred_maps(settings: LabelSettings) -> LabelSettings:
    """The same threshold without the gamma, which would widen the slopes around an object where no edge ends them."""
    return settings.model_copy(update={"gamma": 1.0, "floor": settings.floor ** (1 / settings.gamma)})


def _min_max(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = float(heat.min()), float(heat.max())
    # Rounding of the interpolation must not be blown up to a signal.
    if high - low <= 1e-5 * high:
        return np.zeros_like(heat)
    return (heat - np.float32(low)) / np.float32(high - low)


def _cut(heat: NDArray[np.float32], settings: LabelSettings, guide: EdgeGuide | None) -> NDArray[np.bool_]:
    """The pixels of one class before it competes. ``heat`` is normalised.

    The second threshold, around each object, suits objects of unlike brightness and blobs that are small
    in the image, which a threshold over the whole map cuts too wide.
    """
    mask = heat > _threshold(heat, settings, guide)
    if settings.surround == 0:
        return mask
    refined = np.zeros_like(mask)
    for blob in objects(mask, settings.min_area, settings.min_share):
        near = grow(blob, settings.surround)
        refined |= near & (heat > otsu(heat[near]))
    return refined


def _threshold(heat: NDArray[np.float32], settings: LabelSettings, guide: EdgeGuide | None) -> float:
    """Where ``settings.cut`` divides the whole map of a class."""
    floor = settings.floor
    # A threshold of 0 would take in every pixel that has any heat, and one of 1 none.
    lowest, highest = max(floor - _SEARCH, 0.01), min(floor + _SEARCH, 0.99)
    match settings.cut:
        case "fixed":
            return floor
        case "otsu":
            return max(floor, otsu(heat))
        case "steepest":
            return steepest(heat, lowest, highest)
        case "agreement":
            if guide is None:
                raise LabelError(
                    "cut 'agreement' compares a mask with the image's edges; pass the image and an edge_reach above 0"
                )
            return agreement(heat, lowest, highest, guide.refine)


def _compete(
    normalised: Mapping[str, NDArray[np.float32]], masks: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.bool_]]:
    """Each pixel goes to the class with the highest normalised heat among those whose mask holds it."""
    if not masks:
        return {}
    claims = np.stack([np.where(masks[label], normalised[label], -1) for label in masks])
    winner = claims.argmax(axis=0)
    return {label: masks[label] & (winner == index) for index, label in enumerate(masks)}
