"""Labels drawn over their image, to be looked at. Knows only arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.model import Labels

#: Share of the colour in what is seen inside of an object; its outline is the colour itself.
OPACITY = 0.45


def draw(image: NDArray[np.uint8], labels: Labels, colours: Mapping[str, tuple[int, int, int]]) -> NDArray[np.uint8]:
    """A copy of the image with every object filled in its class's colour and outlined.

    Args:
        image: (H, W, 3) uint8 RGB, of the labels' size.
        labels: where objects overlap, the more confident one is on top.
        colours: class -> (red, green, blue), each in [0, 255], for every class found.
    """
    drawn = image.copy()
    # As thick as a line must be to be seen when the picture is shown a few hundred pixels wide.
    width = max(1, round(min(image.shape[:2]) / 128))
    for instance in sorted(labels.instances, key=lambda instance: instance.confidence):
        colour = np.array(colours[instance.label], np.float32)
        inside = image[instance.mask] * (1 - OPACITY) + colour * OPACITY
        drawn[instance.mask] = np.round(inside)
        drawn[_rim(instance.mask, width)] = colour
    return drawn


def _rim(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The pixels of ``mask`` within ``width`` steps up, down, left or right of its outside."""
    inner = np.pad(mask, 1)
    for _ in range(width):
        shrunk = inner.copy()
        shrunk[1:-1, 1:-1] &= inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
        inner = shrunk
    return mask & ~inner[1:-1, 1:-1]
