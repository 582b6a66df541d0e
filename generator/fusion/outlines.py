"""One outline of the outlines that several sources give of an object. Knows only arrays."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

#: Rounds of EM; it settles within ten on masks.
_ROUNDS = 20

#: Sensitivities and specificities stay this far from 0 and 1, where one source alone would decide for ever.
_LEAST = 1e-3


def weighted(masks: Sequence[NDArray[np.bool_]], weights: Sequence[float]) -> NDArray[np.bool_]:
    """The outline at the weighted mean of the masks' signed distances (Rohlfing & Maurer 2007, shape-based averaging).

    Of two masks of the same weight it runs in the middle between both, where a vote would have to choose.

    Args:
        masks: (H, W) bool, none empty.
        weights: of each, above 0.
    """
    total = np.zeros(masks[0].shape, np.float64)
    for mask, weight in zip(masks, weights, strict=True):
        total += weight * _distance(mask)
    return np.asarray(total > 0)


def most_likely(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """The pixels that are more likely of the object than not, each source being as reliable as EM finds it to be.

    Binary Dawid-Skene over the pixels of the masks' common box, a source's sensitivity and specificity being those of
    all its pixels there (Warfield et al. 2004). Two sources do not say which of them is right: what both have is
    returned.

    Args:
        masks: (H, W) bool, none empty.
    """
    if len(masks) == 1:
        return masks[0]
    if len(masks) == 2:
        return masks[0] & masks[1]
    rows, columns = _box(np.logical_or.reduce(list(masks)))
    votes = np.stack([mask[rows, columns].ravel() for mask in masks]).astype(np.float64)
    chance = votes.mean(axis=0)
    for _ in range(_ROUNDS):
        sensitivity = _within((votes @ chance) / chance.sum())
        specificity = _within(((1 - votes) @ (1 - chance)) / max((1 - chance).sum(), _LEAST))
        prior = _within(chance.mean())
        there = np.log(sensitivity) @ votes + np.log1p(-sensitivity) @ (1 - votes) + np.log(prior)
        absent = np.log1p(-specificity) @ votes + np.log(specificity) @ (1 - votes) + np.log1p(-prior)
        chance = 1 / (1 + np.exp(absent - there))
    likely = np.zeros_like(masks[0])
    likely[rows, columns] = (chance > 0.5).reshape(likely[rows, columns].shape)
    return likely


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of each pixel to the outline in pixels, positive inside."""
    padded = np.pad(mask, 1).astype(np.uint8)
    inside, outside = (
        cv2.distanceTransform(each, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1] for each in (padded, 1 - padded)
    )
    return inside.astype(np.float64) - np.where(mask, 0, outside) + np.where(mask, -0.5, 0.5)


def _within(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(share, _LEAST, 1 - _LEAST)


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns of a mask's pixels, with one more on each side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(int(rows[0]) - 1, 0), int(rows[-1]) + 2),
        slice(max(int(columns[0]) - 1, 0), int(columns[-1]) + 2),
    )
