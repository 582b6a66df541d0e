"""The pixels of one class: where its map is cut, over the whole image and around each object. Knows only arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.maps.guided_filter import GuidedFilter
from diffucurate.generator.labels.maps.thresholds import otsu, refinement_agreement, steepest
from diffucurate.generator.labels.masks.components import objects
from diffucurate.generator.labels.masks.morphology import grow
from diffucurate.generator.labels.masks.working_grid import Grid, around
from diffucurate.generator.labels.settings import LabelSettings

#: Largest distance of a threshold from ``LabelSettings.floor``.
_SEARCH = 0.2


def cut(
    heat: NDArray[np.float32], grid: Grid, settings: LabelSettings, guide: GuidedFilter | None = None
) -> NDArray[np.bool_]:
    """Where the map of a class is hot enough to belong to an object, (H, W).

    The second threshold, around each object, suits objects of unlike brightness and blobs that are small
    in the image, which a threshold over the whole map cuts too wide. Both are found on the grid.

    Args:
        heat: (H, W) in [0, 1].
        grid: of the image.
        guide: the guided filter of the image, None where there is no image.

    Raises:
        LabelError: ``settings.cut`` is "agreement" and there is no guide.
    """
    values = grid.sampled(heat)
    whole = _threshold(heat, values, settings, guide)
    if settings.surround == 0:
        return heat > whole
    hot = np.zeros(heat.shape, np.bool_)
    for blob in objects(values > whole, settings.min_area, settings.min_share):
        near = grow(blob, settings.surround)
        threshold = otsu(values[near])
        window = grid.pixels(around(near & (values > threshold), 1))
        hot[window] |= grid.enlarged(near, window) & (heat[window] > threshold)
    return hot


def _threshold(
    heat: NDArray[np.float32], values: NDArray[np.float32], settings: LabelSettings, guide: GuidedFilter | None
) -> float:
    """Where ``settings.cut`` divides the whole map of a class, ``values`` being those of its grid."""
    floor = settings.floor
    # A threshold of 0 would include every pixel that has any heat, and one of 1 none.
    lowest, highest = max(floor - _SEARCH, 0.01), min(floor + _SEARCH, 0.99)
    match settings.cut:
        case "fixed":
            return floor
        case "otsu" | "learned":
            return max(floor, otsu(values))
        case "steepest":
            return steepest(heat, lowest, highest)
        case "agreement":
            if guide is None:
                raise LabelError(
                    "cut 'agreement' compares a mask with the image's edges; pass the image and an edge_reach above 0"
                )
            return refinement_agreement(heat, lowest, highest, guide.refine)
