"""Class heatmaps -> Labels: the way from attention to masks, instances and confidences. Knows only arrays.

Per class: bicubic up-sampling; where the image is given, refinement along its edges and a gamma that lifts the cooler
parts of an object; a threshold over the whole map and Otsu's around each object. Then classes compete for pixels; then
each object is cleaned by amounts relative to its own size, given an outline and a confidence. Thresholds, shapes and
confidences are found on a grid, which is coarser than a large image; only outlines are worked out pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.confidence import confidences
from diffucurate.generator.labels.maps.binarize import cut
from diffucurate.generator.labels.maps.calibrated_maps import EVEN, chances
from diffucurate.generator.labels.maps.guided_filter import GuidedFilter
from diffucurate.generator.labels.maps.heatmaps import checked, min_max, resized
from diffucurate.generator.labels.maps.superpixels import Superpixels
from diffucurate.generator.labels.masks.working_grid import Grid
from diffucurate.generator.labels.model import IGNORE, Instance, Labels
from diffucurate.generator.labels.objects.object_shapes import outlined, shapes
from diffucurate.generator.labels.objects.split_to_count import split_to_count
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings


def labels_from_heatmaps(
    heatmaps: Mapping[str, NDArray[np.floating]],
    shape: tuple[int, int],
    classes: Sequence[str],
    settings: LabelSettings = DEFAULT_SETTINGS,
    image: NDArray[np.uint8] | None = None,
    background: Sequence[str] = (),
    calibrated: Collection[str] = (),
    counts: Mapping[str, int] = MappingProxyType({}),
) -> Labels:
    """Labels of one image from the raw maps of the classes in its prompt.

    Args:
        heatmaps: class -> (h, w) nonnegative raw map at any resolution, for some, all or none of ``classes`` and
            ``background``.
        shape: height and width of the image in pixels.
        classes: all classes; class id = 1 + index.
        settings: how the maps are cut.
        image: (H, W, 3) uint8 RGB, the image itself: outlines then follow its edges, for which the maps are too coarse.
        background: names of maps of what is no object, such as "sky" or "road": they compete for pixels too, and the
            pixels that they win belong to no class.
        calibrated: the classes whose maps have a learned threshold, see ``chances``; where ``settings.cut`` is
            "learned", they are cut there.
        counts: class -> how many objects of it there are, where that is known; see ``object_counts``. Where fewer are
            found, objects are also split by weaker evidence, such as the image's colours.

    Returns:
        Labels whose instances are ordered by class, then by size. A map without any signal (all one value)
        gives no instance; no instance at all is legal.

    Raises:
        LabelError: a map of a class that is neither in ``classes`` nor in ``background``, that is not (h, w), or
            holds NaN, infinity or negative numbers; a shape that is not positive; an image that is not uint8
            (*shape, 3), or none where ``settings.cut`` is "agreement".
    """
    maps = _checked(heatmaps, shape, (*classes, *background))
    guide = None if image is None else _guide(image, shape, settings)
    regions = None if image is None or not maps else Superpixels(image)
    grid = Grid(shape)
    coarse = {label: resized(heat, grid.shape[::-1]) for label, heat in maps.items()}
    roots = {label: np.sqrt(coarse[label]) for label in coarse if label in calibrated and settings.cut == "learned"}
    shift = settings.floor - DEFAULT_SETTINGS.floor
    if guide is None:
        settings, raw = _for_blurred_maps(settings), coarse
        # The map is coarser than the grid, so linear interpolation between its points is enough.
        normalised = {label: _interpolated(min_max(heat), shape) for label, heat in coarse.items()}
        normalised |= {label: _interpolated(chances(root, shift), shape) for label, root in roots.items()}
    else:
        refined = {label: guide.refine(heat) for label, heat in coarse.items()}
        raw = {label: grid.sampled(heat) for label, heat in refined.items()}
        normalised = {label: _raised(min_max(heat), settings.gamma) for label, heat in refined.items()}
        for label, root in roots.items():
            sharp = guide.refine(root)
            raw[label], normalised[label] = grid.sampled(sharp) ** 2, chances(sharp, shift)
    learned = settings.model_copy(update={"cut": "fixed", "floor": EVEN})
    cuts = {
        label: cut(heat, grid, learned if label in roots else settings, guide) for label, heat in normalised.items()
    }
    owned = _compete(normalised, cuts, shape)
    taken = _united(owned.values(), shape)

    instances = []
    for label in (label for label in classes if label in owned):
        won = grid.sampled(owned[label])
        # Cleaning must not grow into another class's pixels.
        points = shapes(won, won | ~grid.sampled(taken), coarse[label], settings)
        if image is not None and settings.counted and len(points) < counts.get(label, 0):
            points = split_to_count(points, grid.averaged(image), counts[label])
        scores = confidences(points, raw[label], None if image is None else coarse[label], regions)
        found = []
        for mask, score in zip(outlined(points, grid, owned[label], taken), scores, strict=True):
            taken |= mask
            if score >= settings.min_confidence and mask.any():
                found.append(Instance(label, mask, score))
        instances += sorted(found, key=lambda instance: instance.area, reverse=True)
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
    """Maps for display: class -> (H, W) float32 at the image's size, min-max normalised to [0, 1].

    A map of one value becomes 0 throughout. Errors as for ``labels_from_heatmaps``.
    """
    maps = _checked(heatmaps, shape, tuple(heatmaps))
    return {label: min_max(resized(heat, shape[::-1])) for label, heat in maps.items()}


def _checked(
    heatmaps: Mapping[str, NDArray[np.floating]], shape: tuple[int, int], classes: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    height, width = shape
    if height < 1 or width < 1:
        raise LabelError(f"shape is {shape}, expected a positive height and width in pixels")
    for label in heatmaps:
        if label not in classes:
            raise LabelError(f"heatmap of class '{label}', expected one of {', '.join(classes)}")
    return {label: checked(label, heat) for label, heat in heatmaps.items()}


def _guide(image: NDArray[np.uint8], shape: tuple[int, int], settings: LabelSettings) -> GuidedFilter | None:
    """The guided filter of the image; None where the settings ask for none."""
    if image.dtype != np.uint8 or image.shape != (*shape, 3):
        raise LabelError(f"image is {image.dtype} {image.shape}, expected uint8 {(*shape, 3)}")
    return None if settings.edge_reach == 0 else GuidedFilter(image, settings.edge_reach, settings.edge_contrast)


def _for_blurred_maps(settings: LabelSettings) -> LabelSettings:
    """The same threshold without the gamma, which would widen the slopes around an object where no edge ends them; and
    no cuts at notches, as the outline follows no edge."""
    floor = settings.floor ** (1 / settings.gamma)
    return settings.model_copy(update={"gamma": 1.0, "floor": floor, "notch": 1.0})


def _interpolated(heat: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(heat, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _raised(heat: NDArray[np.float32], power: float) -> NDArray[np.float32]:
    return np.asarray(cv2.pow(heat, power), np.float32)


def _compete(
    normalised: Mapping[str, NDArray[np.float32]], masks: Mapping[str, NDArray[np.bool_]], shape: tuple[int, int]
) -> dict[str, NDArray[np.bool_]]:
    """Each pixel goes to the class with the highest normalised heat among those whose mask holds it."""
    contested = _united((one & other for one, other in combinations(masks.values(), 2)), shape)
    if not contested.any():
        return dict(masks)
    claims = [np.where(mask[contested], normalised[label][contested], -1) for label, mask in masks.items()]
    winner = np.argmax(claims, axis=0)
    owned = {label: mask.copy() for label, mask in masks.items()}
    for index, mask in enumerate(owned.values()):
        mask[contested] = winner == index
    return owned


def _united(masks: Iterable[NDArray[np.bool_]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    united = np.zeros(shape, np.bool_)
    for mask in masks:
        united |= mask
    return united
