"""Where labels come from. Every source turns images into the same ``Labels``; nothing else is asked of it.

Here is only the seam: a source of your own needs no more than this protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.model import Labels

__all__ = ["LabelSource"]


class LabelSource(Protocol):
    """Anything that labels images.

    ``name`` is short and lower-case: it begins the names of the fields that the labels are stored in.
    """

    name: str

    def label(self, images: Sequence[NDArray[np.uint8]], **options: Any) -> list[Labels]:
        """Labels for each image, (H, W, 3) uint8 RGB of any size; all of one set of classes."""
        ...
