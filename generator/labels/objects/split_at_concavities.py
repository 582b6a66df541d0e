"""Splits overlapping objects of one class at the concavities (notches) of their common outline. Knows only arrays.

Two cars of which one hides part of the other, seen as one mask, have no neck between them. But where their outlines
meet there is a notch, and each of them alone is nearer to a convex shape than both together. A single object has
notches too, between a truck's cab and its box; so the heat must have two peaks as well, one on each side.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.components import Cut, largest_part
from diffucurate.generator.labels.masks.working_grid import around, framed

#: Notches that are tried, the deepest first.
_NOTCHES = 3

#: Directions of a cut: how far it leans from the vertical, in degrees. Objects that stand on the ground stand side by
#: side; a horizontal cut would separate a head from its body.
_LEANS = np.arange(-40, 41, 20)

#: The largest area that both sides may lose, as a share of the mask's area.
_MOST_CRUMBS = 0.05

#: The heat along a cut is at most this share of each side's peak. Points as near to a cut count as along it.
_MOST_HEAT, _NEAR_CUT = 0.9, 1.5

#: About so many points are sampled of a mask that has more.
_SAMPLES = 512

Mask = NDArray[np.bool_]


class Demands(NamedTuple):
    """The conditions of a cut.

    ``gain`` is by how much of the mask's area the hulls of both parts must exceed them less than its own hull does;
    with 1 nothing is cut. ``depth`` is that of the notch, in square roots of the mask's area, and ``side`` the area of
    the smaller side, as a share of the larger one's.
    """

    gain: float
    depth: float = 0.06
    side: float = 0.5


def split_at_notches(mask: Mask, heat: NDArray[np.float32], least_gain: float) -> list[Mask]:
    """The objects in one mask, told apart where both become more convex and the heat has a valley, the largest first.

    A cut is a straight line through a notch. Of those that are allowed, the one that gains most is made, and the parts
    are examined again.

    Args:
        mask: (h, w) bool, one connected object, on the grid.
        heat: (h, w), the map of its class before it followed the image's edges: its peaks are still smooth.
        least_gain: see ``Demands``.
    """
    cut = cut_at_notch(mask, Demands(least_gain), heat)
    if cut is None:
        return [mask]
    parts = [*split_at_notches(cut.part, heat, least_gain), *split_at_notches(mask & ~cut.part, heat, least_gain)]
    return sorted(parts, key=np.count_nonzero, reverse=True)


def cut_at_notch(mask: Mask, demands: Demands, heat: NDArray[np.float32] | None = None) -> Cut | None:
    """The cut that gains most, which is its worth; None where none fulfils the demands. Arguments as above; without
    ``heat`` no valley is asked for."""
    near = around(mask)
    crop = framed(mask[near], (1, 1, 1, 1))
    hull = _hull(crop)
    # The parts' shortfall is 0 at best.
    if _shortfall(crop, hull) <= demands.gain * np.count_nonzero(crop):
        return None
    # Without heat the condition of a valley holds everywhere.
    inside = np.zeros(mask.shape, np.float32)[near] if heat is None else heat[near]
    heats = np.asarray(cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT), np.float32)
    best = max(_cuts(crop, hull, heats, demands), key=lambda cut: cut.worth, default=None)
    if best is None or best.worth <= demands.gain:
        return None
    part = np.zeros_like(mask)
    part[near] = best.part[1:-1, 1:-1]
    return Cut(best.worth, part)


def _cuts(mask: Mask, hull: NDArray[np.int32], heat: NDArray[np.float32], demands: Demands) -> list[Cut]:
    """The cuts that may be made, with what they gain as a share of the mask's area."""
    area, whole = np.count_nonzero(mask), _shortfall(mask, hull)
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    notches = _notches(mask, hull, demands.depth)
    if not len(notches):
        return []
    cuts = []
    for across, down, start in _valleys(*_samples(mask, heat), notches, demands):
        part = largest_part(mask & (across * columns + down * rows > start))
        rest = largest_part(mask & ~part)
        if area - np.count_nonzero(part) - np.count_nonzero(rest) <= _MOST_CRUMBS * area:
            left = _shortfall(part, _hull(part)) + _shortfall(rest, _hull(rest))
            cuts.append(Cut((whole - left) / area, part))
    return cuts


def _valleys(
    points: NDArray[np.float32], heats: NDArray[np.float32], notches: NDArray[np.float32], demands: Demands
) -> NDArray[np.float32]:
    """The lines across * x + down * y = start through a notch between two sides that are large and hot enough, (N, 3).

    ``points`` and ``notches`` are (N, 2), x and y; ``heats`` (N,).
    """
    leans = np.deg2rad(_LEANS)
    normals = np.stack([np.cos(leans), np.sin(leans)]).astype(np.float32)
    starts = (notches @ normals).ravel()
    lines = np.column_stack([np.tile(normals.T, (len(notches), 1)), starts])
    # How far each point is to the right of each line: (lines, points).
    right = np.tile((points @ normals).T, (len(notches), 1)) - starts[:, None]
    is_right = right > 0
    share = is_right.mean(axis=1)
    peaks = np.minimum(np.where(is_right, heats, 0).max(axis=1), np.where(is_right, 0, heats).max(axis=1))
    along = np.where(np.abs(right) <= _NEAR_CUT, heats, 0).max(axis=1)
    large = np.minimum(share, 1 - share) >= demands.side * np.maximum(share, 1 - share)
    return lines[large & (along <= _MOST_HEAT * peaks)]


def _samples(mask: Mask, heat: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y, (N, 2), and heats, (N,), of enough points of the mask to tell how large and how hot its sides are."""
    rows, columns = (places[:: max(1, len(places) // _SAMPLES)] for places in np.nonzero(mask))
    return np.column_stack([columns, rows]).astype(np.float32), heat[rows, columns]


def _notches(mask: Mask, hull: NDArray[np.int32], depth: float) -> NDArray[np.float32]:
    """The deepest place of each part of the hull that is not the mask's, the deepest first: x and y, (N, 2)."""
    filled = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(filled, hull, 1)
    depths = np.asarray(cv2.distanceTransform(filled, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)
    outside = (filled.view(np.bool_) & ~mask).view(np.uint8)
    _, pockets, boxes, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    least = depth * np.count_nonzero(mask) ** 0.5
    places = []
    for pocket in np.flatnonzero(boxes[1:, cv2.CC_STAT_AREA] >= least) + 1:  # a smaller one cannot be that deep
        inside = np.where(pockets == pocket, depths, 0)
        row, column = np.unravel_index(inside.argmax(), inside.shape)
        places.append((float(inside[row, column]), float(column), float(row)))
    deepest = [place[1:] for place in sorted(places, reverse=True)[:_NOTCHES] if place[0] >= least]
    return np.array(deepest, np.float32).reshape(-1, 2)


def _hull(mask: Mask) -> NDArray[np.int32]:
    """The corners of the smallest convex shape around the mask's pixels' middles, (N, 2)."""
    outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corners = np.concatenate([outline.reshape(-1, 2) for outline in outlines])
    return np.asarray(cv2.convexHull(corners), np.int32).reshape(-1, 2)


def _shortfall(mask: Mask, hull: NDArray[np.int32]) -> float:
    """By how many pixels a mask is smaller than its hull.

    Around whole pixels, not their middles, the hull is larger by half a pixel on each side.
    """
    return float(cv2.contourArea(hull)) + float(np.ptp(hull, axis=0).sum()) + 1 - np.count_nonzero(mask)
