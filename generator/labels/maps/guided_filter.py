"""Refines a coarse heatmap along the image's edges (guided filter). Knows only arrays.

Attention has one value for every 8 x 8 or 16 x 16 pixels; the image says where the object it belongs to ends. Within
a window around each pixel the heat is written as a linear function of the colour, so that it steps where the
colour steps: the guided filter of He, Sun and Tang (2013) with a colour image as the guide, fitted on a coarser
grid and applied at full size as in He and Sun's "Fast Guided Filter" (2015).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.heatmaps import resized
from diffucurate.generator.labels.masks.working_grid import halved

#: Windows reach this many points of the grid that the fit is made on; a finer grid costs time and gains nothing.
_REACH = 8

#: The six entries that determine a symmetric 3 x 3 matrix.
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))

Planes = NDArray[np.float32]


class GuidedFilter:
    """The guided filter of one image, whose coefficients serve all heatmaps of that image.

    Args:
        image: (H, W, 3) uint8 RGB.
        radius: half a window's side, as a share of the square root of the image's area, above 0.
        epsilon: variance of colour (colours in [0, 1]) below which a window counts as flat and its heat is averaged,
            above 0.
    """

    def __init__(self, image: NDArray[np.uint8], radius: float, epsilon: float) -> None:
        height, width = image.shape[:2]
        reach = max(1, round(radius * (height * width) ** 0.5))
        step = max(1, reach // _REACH)
        side = 2 * (reach // step) + 1
        self._size, self._window = (width, height), (side, side)
        self._coarse = max(1, width // step), max(1, height // step)
        self._colours = cv2.split(image)
        colours = halved(image, self._coarse) * np.float32(1 / 255)
        self._guide = np.asarray(cv2.resize(colours, self._coarse, interpolation=cv2.INTER_AREA), np.float32)
        self._mean = self._blur(self._guide)
        first, second = (np.array(pair) for pair in zip(*_PAIRS, strict=True))
        spread = self._blur(self._guide[..., first] * self._guide[..., second])
        spread -= self._mean[..., first] * self._mean[..., second]
        spread[..., first == second] += np.float32(epsilon)
        self._inverse = _inverse(spread)

    def refine(self, heat: Planes) -> Planes:
        """``heat``, (h, w) float32 at any resolution, at the image's, (H, W), with its steps where the image has them.

        Values stay within their range.
        """
        small = resized(heat, self._coarse)
        mean = self._blur(small)
        shared = self._blur(self._guide * small[..., None]) - self._mean * mean[..., None]
        slope = np.einsum("hwij,hwj->hwi", self._inverse, shared)
        offset = mean - np.einsum("hwi,hwi->hw", slope, self._mean)
        refined = self._enlarged(self._blur(offset))
        steps = np.empty_like(refined)
        for slope_of, colour in zip(cv2.split(self._blur(slope) * np.float32(1 / 255)), self._colours, strict=True):
            cv2.resize(slope_of, self._size, dst=steps, interpolation=cv2.INTER_LINEAR)
            refined += np.multiply(steps, colour, out=steps)
        return np.clip(refined, heat.min(), heat.max(), out=refined)

    def _blur(self, planes: Planes) -> Planes:
        """The mean over each point's window, for each plane; the image is mirrored at its borders."""
        return np.asarray(cv2.blur(planes, self._window, borderType=cv2.BORDER_REFLECT), np.float32)

    def _enlarged(self, plane: Planes) -> Planes:
        return np.asarray(cv2.resize(plane, self._size, interpolation=cv2.INTER_LINEAR), np.float32)


def _inverse(matrices: Planes) -> Planes:
    """(h, w, 3, 3) of symmetric matrices given by their six ``_PAIRS``, by their cofactors: many at once, faster than a
    general solver. In double precision: the three colours of a grey image are one, so that all but one of a matrix's
    eigenvalues are epsilon, and in single precision nothing would be left of its determinant."""
    a, b, c, d, e, f = cv2.split(np.asarray(matrices, np.float64))
    first, second, third, fourth = d * f - e * e, c * e - b * f, b * e - c * d, b * c - a * e
    cofactors = cv2.merge([first, second, third, second, a * f - c * c, fourth, third, fourth, a * d - b * b])
    determinants = a * first + b * second + c * third
    return np.asarray((cofactors / determinants[..., None]).reshape(*matrices.shape[:2], 3, 3), np.float32)
