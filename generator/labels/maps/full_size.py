"""Class maps at the image's size, ready to be cut: by the mask network, by the guided filter, or by the maps alone.

Knows only arrays. Each way gives heat in [0, 1] of its own meaning, so each brings the settings that cut it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.calibrated_maps import EVEN, chances
from diffucurate.generator.labels.maps.guided_filter import GuidedFilter
from diffucurate.generator.labels.maps.heatmaps import min_max, resized
from diffucurate.generator.labels.masks.working_grid import Grid
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings

Heat = NDArray[np.float32]
Image = NDArray[np.uint8]

#: The chance above which a pixel is taken to belong to a class. Below one half, since a mask whose IoU is to be largest
#: takes in what is more likely than half of that IoU (Lipton et al. 2014). Of photographs set aside for choosing, mean
#: IoU is within 0.02 of its best from 0.3 to 0.45 for all kinds of maps, of renders within 0.005.
_LEAST_CHANCE = 0.35


class FullSizeMaps(NamedTuple):
    """Class -> map: ``heat`` (H, W) in [0, 1], that masks are cut from; ``points`` (h, w), its values on the grid as
    confidences read them; ``settings``, how each is cut; the guided filter, where it was used; and
    whether the values are chances of pixels."""

    heat: dict[str, Heat]
    points: dict[str, Heat]
    settings: dict[str, LabelSettings]
    guide: GuidedFilter | None = None
    chances: bool = False


def full_size_maps(
    maps: Mapping[str, Heat],
    grid: Grid,
    shape: tuple[int, int],
    settings: LabelSettings,
    image: Image | None,
    calibrated: Collection[str],
) -> FullSizeMaps:
    """The maps at the image's size.

    Args:
        maps: class -> (h, w) raw map.
        grid: of the image, whose size is ``shape``.
        settings: which way is taken (``edges``), and how.
        image: (H, W, 3) RGB, None where there is none: then by the maps alone.
        calibrated: the classes whose maps have a learned threshold and are to be cut there.
    """
    if image is None or settings.edges == "off":
        return _by_maps_alone(maps, grid, shape, settings, calibrated)
    if settings.edges == "filter":
        return _by_guided_filter(maps, grid, settings, image, calibrated)
    return _by_network(maps, grid, shape, settings, image)


def _by_network(
    maps: Mapping[str, Heat],
    grid: Grid,
    shape: tuple[int, int],
    settings: LabelSettings,
    image: Image,
) -> FullSizeMaps:
    """Chances by the mask network, which cuts them by itself, also where a threshold was learned."""
    from diffucurate.generator.labels.maps.mask_network import chances_of_pixels  # loads torch

    coarse = chances_of_pixels(image, maps)
    # A threshold other than the default moves the odds as it does: 0 takes all pixels, 1 none.
    odds = _odds(_LEAST_CHANCE) * _odds(settings.floor) / _odds(DEFAULT_SETTINGS.floor)
    least = odds / (1 + odds) if odds < np.inf else 1.0
    each = {}
    for label, chance in coarse.items():
        # Where no pixel is likely, the likelier ones are the mask all the same, and its confidence is low: whether that
        # is good enough is not the network's to say.
        floor = least * min(1.0, float(chance.max()) / (2 * _LEAST_CHANCE))
        each[label] = settings.model_copy(update={"cut": "fixed", "floor": floor, "surround": 0.0})
    return FullSizeMaps(
        {label: _interpolated(chance, shape) for label, chance in coarse.items()},
        {label: resized(chance, grid.shape[::-1]) for label, chance in coarse.items()},
        each,
        chances=True,
    )


def _by_guided_filter(
    maps: Mapping[str, Heat], grid: Grid, settings: LabelSettings, image: Image, calibrated: Collection[str]
) -> FullSizeMaps:
    guide = GuidedFilter(image, settings.edge_reach, settings.edge_contrast)
    heat, points, each = {}, {}, {}
    for label, raw in maps.items():
        coarse = resized(raw, grid.shape[::-1])
        if label in calibrated and settings.cut == "learned":
            sharp = guide.refine(np.sqrt(coarse))
            heat[label], points[label] = chances(sharp, _shift(settings)), grid.sampled(sharp) ** 2
            each[label] = _at_even_chance(settings)
        else:
            refined = guide.refine(coarse)
            heat[label], points[label] = _raised(min_max(refined), settings.gamma), grid.sampled(refined)
            each[label] = settings
    return FullSizeMaps(heat, points, each, guide)


def _by_maps_alone(
    maps: Mapping[str, Heat],
    grid: Grid,
    shape: tuple[int, int],
    settings: LabelSettings,
    calibrated: Collection[str],
) -> FullSizeMaps:
    """The same threshold as with edges but without the gamma, which would widen the slopes around an object where no
    edge ends them; and no cuts at notches, as the outline follows no edge."""
    floor = settings.floor ** (1 / settings.gamma)
    blurred = settings.model_copy(update={"gamma": 1.0, "floor": floor, "notch": 1.0})
    points = {label: resized(heat, grid.shape[::-1]) for label, heat in maps.items()}
    heat, each = {}, {}
    for label, coarse in points.items():
        learned = label in calibrated and settings.cut == "learned"
        values = chances(np.sqrt(coarse), _shift(settings)) if learned else min_max(coarse)
        # The map is coarser than the grid, so linear interpolation between its points is enough.
        heat[label] = _interpolated(values, shape)
        each[label] = _at_even_chance(blurred) if learned else blurred
    return FullSizeMaps(heat, points, each)


def _odds(chance: float) -> float:
    return chance / (1 - chance) if chance < 1 else np.inf


def _shift(settings: LabelSettings) -> float:
    """By how much more heat than by default a pixel needs."""
    return settings.floor - DEFAULT_SETTINGS.floor


def _at_even_chance(settings: LabelSettings) -> LabelSettings:
    return settings.model_copy(update={"cut": "fixed", "floor": EVEN})


def _raised(heat: Heat, power: float) -> Heat:
    return np.asarray(cv2.pow(heat, power), np.float32)


def _interpolated(heat: Heat, shape: tuple[int, int]) -> Heat:
    return np.asarray(cv2.resize(heat, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
