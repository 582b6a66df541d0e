"""The confidence of an object cut out of a heatmap. Knows only arrays.

There is no ground truth, so several signs of a right mask are measured, each in [0, 1]. Their weighted geometric mean
is the confidence, so one low sign lowers it much. The raw map is used, because min-max normalisation gives the map of
an absent class the same range as any other. Only ratios of heat enter, as the unit of attention differs from model to
model. Where the mask network gives chances of pixels, there is a better way: ``chance_confidence``.

No sign notices a part of an object that has no heat at all, such as the legs of a person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.superpixels import Superpixels
from diffucurate.generator.labels.masks.morphology import grow

#: How much each sign weighs, chosen by rank correlation with the true IoU on 400 rendered scenes set aside for it: 0.73
#: with contrast, 0.66 by attention alone, 0.63 without the image; ``benchmarks/instance_accuracy.py`` gives each sign's
#: own. Boosted trees over forty such signs of attention alone reach 0.69 by cross-validation as long as a sign may only
#: raise the confidence, so there is little left to gain: tried and found to add next to nothing are area, share of heat
#: inside, lead over other classes, rank in the image, touching the border or other objects, contrast and likeness of
#: colours, GrabCut, agreement with the maps of single noise steps and of the coarse map. They reach 0.78 where they may
#: learn which compactness each class's shape has, which would say nothing of other images than those.
WEIGHTS: dict[str, float] = {"step": 0.1, "regions": 1.0, "outline": 2.0, "stability": 0.5, "convexity": 1.0}

#: Least value of a sign: none alone may rule an object out.
LEAST = 0.02

#: Width of the rim around an object that it is compared with, as a share of the square root of its area.
RIM = 0.3

#: The object is cut again at these shares of the heat along its outline.
_LOWER, _HIGHER = 0.8, 1.15

#: The heat of a rim is this quantile of its pixels, so its hottest side counts and single pixels do not.
_HOTTEST = 0.95

#: Width of the surroundings in which regions are compared and the object is cut again, as a share of the square root of
#: its area.
_SURROUNDINGS = 0.65

_SQUARE = np.ones((3, 3), np.uint8)


def confidences(
    masks: Sequence[NDArray[np.bool_]],
    heat: NDArray[np.float32],
    coarse: NDArray[np.float32] | None = None,
    regions: Superpixels | None = None,
) -> list[float]:
    """The confidence of each object of one class, in [0, 1] and in the order of ``masks``; see ``signs``."""
    products = []
    for values in signs(masks, heat, coarse, regions):
        total = sum(WEIGHTS[sign] for sign in values)
        products.append(math.prod(max(value, LEAST) ** (WEIGHTS[sign] / total) for sign, value in values.items()))
    return products


def signs(
    masks: Sequence[NDArray[np.bool_]],
    heat: NDArray[np.float32],
    coarse: NDArray[np.float32] | None = None,
    regions: Superpixels | None = None,
) -> list[dict[str, float]]:
    """The signs that the confidence is computed from, for each object of one class.

    Args:
        masks: the objects, each (H, W) bool and not empty.
        heat: (H, W) raw map of their class, nonnegative, that they were cut from.
        coarse: (H, W) the same map before it followed the image's edges; by default ``heat``.
        regions: of the image, None where there is no image.

    Returns:
        One dict per object, each value in [0, 1]; without ``regions`` the last two are left out:

        - ``step``: (inside - rim) / (inside + rim) of the mean heat inside and the 95th percentile in the rim, pixels
          of the class's other objects left out. An object should be hotter than all that surrounds it; where one side
          is as hot, heat has spilled over or part of the object was left out.
        - ``stability``: after Segment Anything's stability score (Kirillov et al. 2023): pixels above 1.15 times the
          heat along the object's outline, by those above 0.8 times, in the object and around it.
        - ``convexity``: length of its hull's outline by that of its own. Objects with ragged outlines are wrong more
        often. - ``regions``: IoU with those regions of the image around it whose coarse heat is high, which needs
        neither thresholds nor outlines. - ``outline``: share of the object's outline that lies on an edge of the image.
    """
    if not masks:
        return []
    outside = ~np.logical_or.reduce(list(masks))
    means = None if regions is None else regions.means(heat if coarse is None else coarse)
    signs_of_objects = []
    for mask in masks:
        rim = grow(mask, RIM) & outside
        inside = float(heat[mask].mean(dtype=np.float64))
        ordered = np.sort(heat[rim])  # ten times faster than numpy's quantile
        around = float(ordered[int(_HOTTEST * (ordered.size - 1))]) if ordered.size else 0.0
        near = grow(mask, _SURROUNDINGS)
        values = {
            "step": max(inside - around, 0.0) / (inside + around) if inside > 0 else 0.0,
            "stability": _stability(mask, near & outside, heat),
            "convexity": _convexity(mask),
        }
        if regions is not None and means is not None:
            values["regions"] = regions.vote_iou(mask, near, means)
            values["outline"] = regions.outlined(mask)
        signs_of_objects.append(values)
    return signs_of_objects


def _stability(mask: NDArray[np.bool_], around: NDArray[np.bool_], heat: NDArray[np.float32]) -> float:
    """The stability of an object; ``around`` are the pixels of its surroundings, none of them in it."""
    outline = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_GRADIENT, _SQUARE, borderType=cv2.BORDER_REPLICATE) > 0
    inside = heat[mask]
    level = float(np.median(heat[outline] if outline.any() else inside))
    core = np.count_nonzero(inside > _HIGHER * level)
    return core / (inside.size + np.count_nonzero(heat[around] > _LOWER * level))


def _convexity(mask: NDArray[np.bool_]) -> float:
    """The convexity of an object's largest part."""
    outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    length = cv2.arcLength(outline, closed=True)
    return min(1.0, cv2.arcLength(cv2.convexHull(outline), closed=True) / length) if length else 1.0
