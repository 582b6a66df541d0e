"""Colours of class ids in the PNG files of masks: those of Pascal VOC, which other tools know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def palette() -> NDArray[np.uint8]:
    """(256, 3) red, green and blue of each value.

    The bits of a value are dealt in turn to red, green and blue, most significant bits of the colour first: 0 is black,
    1 dark red, and 255 the (224, 224, 192) of what is ignored.
    """
    values = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= ((values >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    return colours


def write_mask(path: Path, mask: NDArray[np.uint8]) -> None:
    """Write a (H, W) mask of ids as a PNG with the palette; readers get the ids."""
    image = Image.fromarray(mask)
    image.putpalette(palette().ravel().tolist())  # which makes it mode P
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=False)
