"""The confidence of an object cut out of the chances of its pixels: the chance that its IoU is 0.5 or more.

Knows only arrays. An object is right if the map of its class is, and if it is one of the things that the map shows and
ends where that does: two logistic regressions (Platt 1999), multiplied. Maps that are wrong altogether look like others
to each of an object's own signs, and are told by how little the network makes of them. None of the signs looks at the
image again: the network has weighed it, and gives middling chances to what it doubts.
``benchmarks/confidence_fit.py`` finds the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.heatmaps import min_max
from diffucurate.generator.labels.masks.morphology import grow


class Weights(NamedTuple):
    """A logistic regression: the log odds are ``bias`` and the sum of each sign by its weight."""

    signs: Mapping[str, float]
    bias: float

    def chance(self, values: Mapping[str, float]) -> float:
        """In [0, 1], of the values of these signs among others."""
        return 1 / (1 + math.exp(-(self.bias + sum(weight * values[sign] for sign, weight in self.signs.items()))))


#: Fitted on pasted shapes with good, bad and wrong maps (``generator.tiny.pasted_scenes``), on half of the photographs
#: of ``benchmarks/photographs.py`` with all kinds of maps, and on rendered scenes set aside for choosing, each as much.
MAP_IS_RIGHT = Weights({"doubt": -3.166, "mean_chance": 3.682}, -0.797)
OBJECT_IS_RIGHT = Weights({"expected_iou": 0.299, "rim": -0.874, "peak": 1.035, "share": 1.82}, -3.35)

#: A map that is right with this chance or more takes nothing from its objects' confidence: small differences between
#: good maps would only blur the order of their objects.
_SURE = 0.95

#: Width of the surroundings of an object and of its rim, as shares of the square root of its area.
_SURROUNDINGS, _RIM = 2.0, 0.12

#: Chances nearer to 0 or 1 count as this far from it.
_LEAST = 0.02


def chance_confidences(
    masks: Sequence[NDArray[np.bool_]], chances: NDArray[np.float32], heat: NDArray[np.float32]
) -> list[float]:
    """The confidence of each object of one class, in [0, 1] and in the order of ``masks``; arguments: ``signs``."""
    return [confidence(values) for values in signs(masks, chances, heat)]


def confidence(values: Mapping[str, float]) -> float:
    """The confidence of an object with these signs, in [0, 1]."""
    return min(1.0, MAP_IS_RIGHT.chance(values) / _SURE) * OBJECT_IS_RIGHT.chance(values)


def signs(
    masks: Sequence[NDArray[np.bool_]], chances: NDArray[np.float32], heat: NDArray[np.float32]
) -> list[dict[str, float]]:
    """What confidences are computed from, for each object of one class.

    Args:
        masks: the objects, each (H, W) bool and not empty.
        chances: (H, W) in [0, 1], of the pixels to belong to their class.
        heat: (H, W) raw map of the class.

    Returns:
        One dict per object. Of its map:

        - ``doubt``: mean over all pixels of the lesser of the chances for and against, by the mean chance. The network
          doubts much of a map that it can make no sense of by the image;
        - ``mean_chance``: over the object's pixels.

        Of itself:

        - ``expected_iou``: log odds of the sum of the chances of its pixels, by its area and the chances that lie
          around it in no other object;
        - ``rim``: log odds of the mean chance of the pixels along its outline's outside. An object that ends where the
          network is sure that it ends has none; where it is cut off from others of its class, or from more of itself,
          they are high;
        - ``peak``: its hottest pixel, in [0, 1], as a share of its class's;
        - ``share``: its area by that of all objects of the class. A scrap beside something large is often no object.
    """
    if not masks:
        return []
    together = np.logical_or.reduce(list(masks))
    shares, area = min_max(heat), np.count_nonzero(together)
    doubt = float(np.minimum(chances, 1 - chances).mean()) / max(float(chances.mean()), _LEAST)
    found = []
    for mask in masks:
        around = chances[grow(mask, _SURROUNDINGS) & ~together].sum(dtype=np.float64)
        rim = chances[grow(mask, _RIM) & ~mask]
        own = float(chances[mask].sum(dtype=np.float64))
        pixels = int(np.count_nonzero(mask))
        found.append(
            {
                "doubt": doubt,
                "mean_chance": own / pixels,
                "expected_iou": _log_odds(own / (pixels + around)),
                "rim": _log_odds(float(rim.mean()) if rim.size else 0.0),
                "peak": float(shares[mask].max()),
                "share": pixels / area,
            }
        )
    return found


def _log_odds(chance: float) -> float:
    within = min(1 - _LEAST, max(_LEAST, chance))
    return math.log(within / (1 - within))
