"""The confidence of an object cut out of the chances of its pixels: the chance that its IoU is 0.5 or more.

Knows only arrays. Three signs by a logistic regression (Platt 1999). None looks at the image again: the mask network
has weighed it, and gives middling chances to what it doubts. ``benchmarks/confidence_fit.py`` finds the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.heatmaps import min_max
from diffucurate.generator.labels.masks.morphology import grow

#: Fitted on half of the photographs of ``benchmarks/photographs.py``, with good and bad maps, and as much on rendered
#: scenes set aside for choosing. Found to add nothing by cross-validation: agreement with the image's regions or edges,
#: agreement with the map cut at thresholds, convexity, size in cells, number of objects, length on the image's border.
WEIGHTS: dict[str, float] = {"expected_iou": 0.64, "rim": -1.32, "peak": 2.75}
BIAS = -5.32

#: Width of the surroundings of an object and of its rim, as shares of the square root of its area.
_SURROUNDINGS, _RIM = 2.0, 0.12

#: Chances nearer to 0 or 1 count as this far from it.
_LEAST = 0.02


def chance_confidences(
    masks: Sequence[NDArray[np.bool_]], chances: NDArray[np.float32], heat: NDArray[np.float32]
) -> list[float]:
    """The confidence of each object of one class, in [0, 1] and in the order of ``masks``; arguments: ``signs``."""
    logits = [sum(WEIGHTS[sign] * value for sign, value in each.items()) for each in signs(masks, chances, heat)]
    return [1 / (1 + math.exp(-(BIAS + logit))) for logit in logits]


def signs(
    masks: Sequence[NDArray[np.bool_]], chances: NDArray[np.float32], heat: NDArray[np.float32]
) -> list[dict[str, float]]:
    """What confidences are computed from, for each object of one class.

    Args:
        masks: the objects, each (H, W) bool and not empty.
        chances: (H, W) in [0, 1], of the pixels to belong to their class.
        heat: (H, W) raw map of the class.

    Returns:
        One dict per object:

        - ``expected_iou``: log odds of the sum of the chances of its pixels, by its area and the chances that lie
          around it in no other object;
        - ``rim``: log odds of the mean chance of the pixels along its outline's outside. An object that ends where the
          network is sure that it ends has none; where it is cut off from others of its class, or from more of itself,
          they are high;
        - ``peak``: its hottest pixel, in [0, 1], as a share of its class's.
    """
    if not masks:
        return []
    outside, shares = ~np.logical_or.reduce(list(masks)), min_max(heat)
    found = []
    for mask in masks:
        around = chances[grow(mask, _SURROUNDINGS) & outside].sum(dtype=np.float64)
        rim = chances[grow(mask, _RIM) & ~mask]
        expected = float(chances[mask].sum(dtype=np.float64) / (np.count_nonzero(mask) + around))
        found.append(
            {
                "expected_iou": _log_odds(expected),
                "rim": _log_odds(float(rim.mean()) if rim.size else 0.0),
                "peak": float(shares[mask].max()),
            }
        )
    return found


def _log_odds(chance: float) -> float:
    within = min(1 - _LEAST, max(_LEAST, chance))
    return math.log(within / (1 - within))
