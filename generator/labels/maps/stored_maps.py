"""Raw class maps at the precision in which they are kept beside an image. Loads no OpenCV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Class -> (h, w) raw map, float32 >= 0.
Heatmaps = dict[str, NDArray[np.float32]]


def as_stored(heatmaps: Mapping[str, NDArray[np.floating[Any]]]) -> Heatmaps:
    """Raw maps with the precision they are stored in: labels made from these can be made again later."""
    return {name: np.asarray(values, np.float16).astype(np.float32) for name, values in heatmaps.items()}
