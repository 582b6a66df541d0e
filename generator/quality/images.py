"""Is an image blank, dark or blurred? Knows only pixels."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

#: Images are measured at no more than this many pixels a side, as they are looked at: noise of single pixels in a large
#: photograph is no sharpness.
_LONGEST = 512

#: Standard deviation of grey levels below which an image is of one colour; it has no sharpness then.
_CONSTANT = 1 / 255


class ImageMeasures(NamedTuple):
    """``brightness`` is the mean grey level and ``contrast`` its standard deviation, both of [0, 1]; an image of one
    colour has contrast 0. ``sharpness`` is the standard deviation of the Laplacian by that of the grey levels, so that
    it depends neither on brightness nor on contrast: 0 for one colour, 0.02 and less for a soft gradient, 4.5 for
    white noise.
    """

    brightness: float
    contrast: float
    sharpness: float


def measure_image(pixels: NDArray[np.uint8]) -> ImageMeasures:
    """Measure an image.

    Args:
        pixels: (H, W, 3) uint8 RGB.
    """
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    longest = max(gray.shape)
    if longest > _LONGEST:
        height, width = (max(1, round(side * _LONGEST / longest)) for side in gray.shape)
        gray = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
    levels = gray.astype(np.float64) / 255
    contrast = float(levels.std())
    edges = float(cv2.Laplacian(levels, cv2.CV_64F, borderType=cv2.BORDER_REPLICATE).std())
    return ImageMeasures(float(levels.mean()), contrast, 0.0 if contrast < _CONSTANT else edges / contrast)
