"""Superpixels: the regions of an image that have one colour each. Knows only arrays.

A region belongs to an object as a whole or not at all, so its mean heat decides for all its pixels. Where a mask and
its regions differ, the mask exceeds the object or misses part of it. In images full of texture regions are small and
add little to the map.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.thresholds import otsu
from diffucurate.generator.labels.masks.working_grid import halved

#: Longest side, in pixels, of the copy of an image that is divided: what counts as flat then does not depend on size.
_GRID_PX = 128

#: Colours in [0, 1] that differ by less within 3 x 3 pixels are flat; where more than half of an image has texture,
#: its flatter half is.
_FLAT = 0.04

_SQUARE = np.ones((3, 3), np.uint8)


class Superpixels:
    """An image divided into its regions, once for all masks and maps of it.

    Flat areas grow over the edges between them until they meet (watershed of Meyer 1992).

    Args:
        image: (H, W, 3) uint8 RGB.
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        shrink = min(1.0, _GRID_PX / max(height, width))
        self._size = max(1, round(width * shrink)), max(1, round(height * shrink))
        image = halved(image, self._size)
        small = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        span = (cv2.dilate(small, _SQUARE) - cv2.erode(small, _SQUARE)).max(axis=2) / 255
        flat = span <= max(_FLAT, float(np.median(span)))
        self._edges = ~flat
        _, seeds = cv2.connectedComponents(flat.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        grown = cv2.watershed(small, seeds)
        # The lines between regions, and the image's own border, are left at -1: they join the nearest region.
        _, nearest = cv2.distanceTransformWithLabels(
            (grown < 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        owners = np.zeros(nearest.max() + 1, np.int32)
        owners[nearest[grown > 0]] = grown[grown > 0]
        self._owner = owners[nearest]
        self._pixels = np.maximum(np.bincount(self._owner.ravel()), 1)

    def means(self, heat: NDArray[np.float32]) -> NDArray[np.float32]:
        """(h, w) mean of an (H, W) map over the region of each pixel of the coarser grid that regions are kept on."""
        small = cv2.resize(heat, self._size, interpolation=cv2.INTER_AREA)
        sums = np.bincount(self._owner.ravel(), small.ravel())
        return (sums / self._pixels).astype(np.float32)[self._owner]

    def vote_iou(self, mask: NDArray[np.bool_], near: NDArray[np.bool_], means: NDArray[np.float32]) -> float:
        """IoU of an object with the regions that vote for it: those within ``near`` whose mean heat is high.

        Args:
            mask: (H, W), the object.
            near: (H, W), it and its surroundings; Otsu's threshold over the square roots of the means in there divides
                the regions, since the parts of an object differ in heat by factors.
            means: of the object's class, from ``means``.
        """
        small, around = (self._reduced(part) for part in (mask, near))
        if not small.any():
            return 0.0  # too small to be seen on the grid
        heat = np.sqrt(means)
        voted = around & (heat > otsu(heat[around]))
        return float(np.count_nonzero(small & voted) / np.count_nonzero(small | voted))

    def outlined(self, mask: NDArray[np.bool_]) -> float:
        """Share of an object's outline, its pixels on both sides, that lies on an edge of the image.

        ``mask`` is (H, W). Where it reaches the image's border it has no outline; 1 where it has none at all.
        """
        small = self._reduced(mask).astype(np.uint8)
        outline = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, _SQUARE, borderType=cv2.BORDER_REPLICATE) > 0
        return float(self._edges[outline].mean()) if outline.any() else 1.0

    def _reduced(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray(cv2.resize(mask.astype(np.float32), self._size, interpolation=cv2.INTER_AREA) >= 0.5)
