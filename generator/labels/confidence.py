"""How far an object cut out of a heatmap can be trusted. Knows only arrays.

There is no truth to compare with, so signs of it are read from the maps, each in [0, 1] and each falling as the
blob looks less like an object. Their weighted geometric mean is the confidence: one bad sign is enough to pull it
down. The raw map is read, because min-max normalisation makes the map of a class that is not there look as lively
as any other. Only ratios of heat enter, for the unit of attention differs from model to model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.morphology import grow

#: How much each sign weighs, chosen by rank correlation with the true IoU on attention maps that were simulated
#: from rendered scenes with exact masks.
WEIGHTS: dict[str, float] = {
    "contrast": 1.0,
    "sharpness": 1.0,
    "focus": 1.0,
    "standing": 1.0,
    "compactness": 1.0,
    "margin": 0.25,
}

#: Width of the rim around an object that it is compared with, as a share of the square root of its area.
RIM = 0.5


def confidences(
    masks: Sequence[NDArray[np.bool_]],
    heat: NDArray[np.float32],
    lead: NDArray[np.float32] | None = None,
) -> list[float]:
    """The confidence of each object of one class, in [0, 1] and in the order of ``masks``; see ``signs``."""
    total = sum(WEIGHTS.values())
    return [
        math.prod(values[sign] ** (weight / total) for sign, weight in WEIGHTS.items())
        for values in signs(masks, heat, lead)
    ]


def signs(
    masks: Sequence[NDArray[np.bool_]],
    heat: NDArray[np.float32],
    lead: NDArray[np.float32] | None = None,
) -> list[dict[str, float]]:
    """What the confidence is made of, for each object of one class.

    Args:
        masks: the objects, each (H, W) bool and not empty.
        heat: (H, W) raw map of their class, nonnegative.
        lead: (H, W) how far the normalised map of this class is above the highest of the other classes', or None
            where there is no other.

    Returns:
        One dict per object, each value in [0, 1], with excess heat meaning what exceeds the median outside of all
        the class's objects:

        - ``contrast``: (inside - rim) / (inside + rim) of the mean heats; a faint blob hardly stands out.
        - ``sharpness``: the same step over the height of the blob; a diffuse blob slopes across its outline.
        - ``focus``: share of its own and all stray excess heat that lies inside; strewn heat means a poor map.
        - ``standing``: its excess heat over that of the strongest object; an afterthought ranks behind.
        - ``compactness``: outline of a disc of its area over its own outline; a ragged blob has a long one.
        - ``margin``: mean of ``lead`` inside, 1 without ``lead``; a blob another class claims too is doubtful.
    """
    if not masks:
        return []
    outside = ~np.logical_or.reduce(list(masks))
    base = float(np.median(heat[outside])) if outside.any() else float(heat.min())
    excess = np.maximum(heat - base, 0)
    stray = float(excess[outside].sum(dtype=np.float64))
    held = [float(excess[mask].sum(dtype=np.float64)) for mask in masks]

    found = []
    for mask, own in zip(masks, held, strict=True):
        rim = grow(mask, RIM) & outside
        inside = float(heat[mask].mean(dtype=np.float64))
        around = float(heat[rim].mean(dtype=np.float64)) if rim.any() else base
        # The 95th percentile is the blob's height: its single highest pixel may be noise.
        height = float(np.quantile(heat[mask], 0.95)) - base
        found.append(
            {
                "contrast": _share(inside - around, inside + around),
                "sharpness": _share(inside - around, height),
                "focus": _share(own, own + stray),
                "standing": _share(own, max(held)),
                "compactness": _share(2 * math.sqrt(math.pi * np.count_nonzero(mask)), _outline_px(mask)),
                "margin": 1.0 if lead is None else float(np.clip(lead[mask], 0, 1).mean(dtype=np.float64)),
            }
        )
    return found


def _share(part: float, whole: float) -> float:
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0


def _outline_px(mask: NDArray[np.bool_]) -> float:
    """Length of the outline: pixel edges, times pi / 4, which makes it right for a disc of any size."""
    padded = np.pad(mask, 1)
    edges = np.count_nonzero(padded[1:] != padded[:-1]) + np.count_nonzero(padded[:, 1:] != padded[:, :-1])
    return math.pi / 4 * edges
