"""A heatmap as the image that the App shows. Knows arrays only: machines without a database write it too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Share of a heatmap's peak below which the image shows through.
FAINT_HEAT = 0.3

#: Heatmaps are normalised to [0, 1] and stored as 8-bit images, so 1 is 255. The App reads a heatmap's range in
#: units of the file's values: with [0, 1] every pixel from 1 / 255 on would be painted in the brightest colour.
HEATMAP_RANGE = (0, 255)


def heatmap_pixels(heatmap: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A (H, W) heatmap in [0, 1] as the 8-bit image that is shown: 255 for 1, 0 below ``FAINT_HEAT``.

    The App leaves out 0 and paints all else over the image. The maps that labels are made of stay whole.
    """
    shown = np.where(heatmap < FAINT_HEAT, 0, np.clip(heatmap, 0, 1))
    return np.round(shown * 255).astype(np.uint8)
