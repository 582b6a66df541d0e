"""How well two outlines agree: the boundary F-score of Csurka et al. (2013)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Distance within which two outlines are the same, as a share of the image's diagonal.
TOLERANCE = 0.0075


class BoundaryMatch(NamedTuple):
    """Pixels on the outline of a mask, and of the other; and how many of each lie near the other's outline."""

    pixels: int
    other_pixels: int
    near: int
    other_near: int

    @property
    def f_score(self) -> float | None:
        """2PR / (P + R) of the shares of near pixels; None where neither has an outline, 0 where one has none."""
        if not self.pixels and not self.other_pixels:
            return None
        if not self.pixels or not self.other_pixels:
            return 0.0
        precision, recall = self.near / self.pixels, self.other_near / self.other_pixels
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def match_boundaries(mask: NDArray[np.bool_], other: NDArray[np.bool_], tolerance: float = TOLERANCE) -> BoundaryMatch:
    """The outlines of two (H, W) masks of one image.

    Args:
        mask, other: bool.
        tolerance: greatest distance of near pixels, as a share of the diagonal; at least one pixel.
    """
    from scipy.ndimage import distance_transform_edt

    radius = max(1.0, round(tolerance * math.hypot(*mask.shape)))
    first, second = _outline(mask), _outline(other)
    if not first.any() or not second.any():
        return BoundaryMatch(int(first.sum()), int(second.sum()), 0, 0)
    near = first & (distance_transform_edt(~second) <= radius)
    other_near = second & (distance_transform_edt(~first) <= radius)
    return BoundaryMatch(int(first.sum()), int(second.sum()), int(near.sum()), int(other_near.sum()))


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask that touch, with an edge, a pixel that is not of it; the image's rim is no outline."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner
