"""How far an object cut out of a heatmap can be trusted. Knows only arrays.

There is no truth to compare with, so signs of it are read, each in [0, 1] and each falling as the object looks less
right. Their weighted geometric mean is the confidence: one bad sign is enough to pull it down. The raw map is read,
because min-max normalisation makes the map of a class that is not there look as lively as any other. Only ratios of
heat enter, for the unit of attention differs from model to model.

What no sign can see is a part that has no heat at all: a person without legs in the map looks like one without legs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.morphology import grow
from diffucurate.generator.labels.regions import Regions

#: How much each sign weighs, chosen by rank correlation with the true IoU on 600 rendered scenes set aside for it;
#: ``benchmarks/instance_accuracy.py`` gives each sign's own. Tried as well and found to add next to nothing to these:
#: share of the heat inside, compactness, lead over other classes, rank in the image, stability under other thresholds,
#: agreement with the mask of the coarse map.
WEIGHTS: dict[str, float] = {"step": 0.5, "regions": 1.0, "outline": 1.0}

#: No sign is sure enough of itself to rule an object out: what is below this counts as this.
LEAST = 0.02

#: Width of the rim around an object that it is compared with, as a share of the square root of its area.
RIM = 0.3

#: The heat of a rim is this quantile of it: that of its hottest side, its very hottest pixels aside.
_HOTTEST = 0.95

#: Width of the surroundings in which regions are asked, as a share of the square root of the object's area.
_SURROUNDINGS = 0.65


def confidences(
    masks: Sequence[NDArray[np.bool_]],
    heat: NDArray[np.float32],
    coarse: NDArray[np.float32] | None = None,
    regions: Regions | None = None,
) -> list[float]:
    """The confidence of each object of one class, in [0, 1] and in the order of ``masks``; see ``signs``."""
    found = []
    for values in signs(masks, heat, coarse, regions):
        total = sum(WEIGHTS[sign] for sign in values)
        found.append(math.prod(max(value, LEAST) ** (WEIGHTS[sign] / total) for sign, value in values.items()))
    return found


def signs(
    masks: Sequence[NDArray[np.bool_]],
    heat: NDArray[np.float32],
    coarse: NDArray[np.float32] | None = None,
    regions: Regions | None = None,
) -> list[dict[str, float]]:
    """What the confidence is made of, for each object of one class.

    Args:
        masks: the objects, each (H, W) bool and not empty.
        heat: (H, W) raw map of their class, nonnegative, that they were cut from.
        coarse: (H, W) the same map before it followed the image's edges; by default ``heat``.
        regions: of the image, None where there is no image.

    Returns:
        One dict per object, each value in [0, 1]; without ``regions`` the first alone:

        - ``step``: (inside - rim) / (inside + rim) of the mean heat inside and the 95th percentile in the rim, pixels
          of the class's other objects left out. An object should be hotter than all that surrounds it; where one side
          is as hot, heat has spilled over or part of the object was left out.
        - ``regions``: IoU with those regions of the image around it whose coarse heat is high, a second opinion that
          knows nothing of thresholds and outlines.
        - ``outline``: share of the object's outline that lies on an edge of the image.
    """
    if not masks:
        return []
    outside = ~np.logical_or.reduce(list(masks))
    means = None if regions is None else regions.means(heat if coarse is None else coarse)
    found = []
    for mask in masks:
        rim = grow(mask, RIM) & outside
        inside = float(heat[mask].mean(dtype=np.float64))
        around = float(np.quantile(heat[rim], _HOTTEST)) if rim.any() else 0.0
        values = {"step": max(inside - around, 0.0) / (inside + around) if inside > 0 else 0.0}
        if regions is not None and means is not None:
            values["regions"] = regions.agreement(mask, grow(mask, _SURROUNDINGS), means)
            values["outline"] = regions.outlined(mask)
        found.append(values)
    return found
