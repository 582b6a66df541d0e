"""Init images: the pixels that an image is painted from, the region to paint, and both at another size.

Knows arrays only; the caller reads them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffucurate.generator.errors import ImageError

#: Pixels outside of a region over which what was painted fades into the init image: the autoencoder changes an image
#: slightly everywhere, and a step from one to the other would show as a seam.
SEAM = 4


@dataclass(frozen=True, eq=False)
class InitPixels:
    """``image`` is (H, W, 3) uint8 RGB; ``mask`` (H, W) bool says where to paint, None for everywhere. ``outline``,
    (H, W) bool within that, is what the new object is to fill, None where it may have any shape.

    Raises:
        ImageError: the mask has another size than the image, or is empty.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None = None
    outline: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.mask is None:
            return
        if self.mask.shape != self.image.shape[:2]:
            (height, width), (rows, columns) = self.mask.shape, self.image.shape[:2]
            raise ImageError(f"the mask is {width} x {height} px, the image {columns} x {rows} px")
        if not self.mask.any():
            raise ImageError("the mask is empty, so there is nothing to paint")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def fitted(self, size: tuple[int, int]) -> InitPixels:
        """The init image resized to (width, height), stretched where the proportions differ; a mask never vanishes."""
        if size == self.size:
            return self
        image = np.asarray(Image.fromarray(self.image).resize(size, Image.Resampling.LANCZOS))
        parts = (None if part is None else covered(part, size) for part in (self.mask, self.outline))
        return InitPixels(image, *parts)

    def kept_in(self, painted: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The painted image, of this size, with the init image's own pixels from ``SEAM`` px beyond the mask on."""
        if self.mask is None:
            return painted
        distance = cv2.distanceTransform((~self.mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        share = np.clip(1 - distance / SEAM, 0, 1)[..., None]
        mixed: NDArray[np.uint8] = np.round(share * painted + (1 - share) * self.image).astype(np.uint8)
        return mixed


def covered(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at another (width, height): the pixels half or more of which it covers, or else the most covered ones."""
    shares = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    result: NDArray[np.bool_] = shares >= min(0.5, float(shares.max()))
    return result & (shares > 0)


def grown(mask: NDArray[np.bool_], margin: float) -> NDArray[np.bool_]:
    """A mask grown on all sides by ``margin`` times the square root of its area, within the image."""
    reach = margin * float(np.sqrt(np.count_nonzero(mask)))
    if not mask.any() or reach <= 0:
        return mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    result: NDArray[np.bool_] = distance <= reach
    return result


def digest(pixels: NDArray[np.uint8] | NDArray[np.bool_]) -> str:
    """16 hex digits over an array's shape and content."""
    content = hashlib.sha256(repr((pixels.shape, pixels.dtype.str)).encode())
    content.update(np.ascontiguousarray(pixels).data)
    return content.hexdigest()[:16]


def within(heatmap: NDArray[np.float32], region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A raw (h, w) class map cut to a region, (H, W) bool: its heat less the region's least heat, 0 outside.

    The map may be hotter elsewhere in the image; only differences within the region count.
    """
    inside = covered(region, (heatmap.shape[1], heatmap.shape[0]))
    cut: NDArray[np.float32] = np.where(inside, heatmap - heatmap[inside].min(), 0).astype(np.float32)
    return cut
