"""Masks and labels drawn over their image. Knows only arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.model import Labels

#: Share of the class's colour inside of an object; its outline has the colour itself.
OPACITY = 0.45


class Layer(NamedTuple):
    """A mask to be drawn over an image: (H, W) bool, its (red, green, blue) in [0, 255], and how much of it covers the
    image inside of the mask, in [0, 1]."""

    mask: NDArray[np.bool_]
    colour: tuple[int, int, int]
    opacity: float = OPACITY


def draw(image: NDArray[np.uint8], labels: Labels, colours: Mapping[str, tuple[int, int, int]]) -> NDArray[np.uint8]:
    """A copy of the image with every object filled in its class's colour and outlined.

    Args:
        image: (H, W, 3) uint8 RGB, of the labels' size.
        labels: where objects overlap, the more confident one is on top.
        colours: class -> (red, green, blue), each in [0, 255], for every class of an instance.
    """
    # As wide as a line must be to be seen when the image is shown a few hundred pixels wide.
    width = max(1, round(min(image.shape[:2]) / 128))
    ordered = sorted(labels.instances, key=lambda instance: instance.confidence)
    return overlaid(image, [Layer(instance.mask, colours[instance.label]) for instance in ordered], width)


def overlaid(image: NDArray[np.uint8], layers: Iterable[Layer], outline_px: int) -> NDArray[np.uint8]:
    """A copy of the (H, W, 3) uint8 RGB image with each mask filled and outlined; later layers hide earlier ones.

    Args:
        image: of the masks' size.
        layers: from the lowest to the topmost.
        outline_px: width of the outlines, which lie inside of the masks.
    """
    drawn = image.copy()
    for mask, colour, opacity in layers:
        value = np.array(colour, np.float32)
        drawn[mask] = np.round(image[mask] * (1 - opacity) + value * opacity)
        drawn[_rim(mask, outline_px)] = value
    return drawn


def _rim(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The pixels of ``mask`` within ``width`` steps up, down, left or right of its outside."""
    inner = np.pad(mask, 1)
    for _ in range(width):
        shrunk = inner.copy()
        shrunk[1:-1, 1:-1] &= inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
        inner = shrunk
    return mask & ~inner[1:-1, 1:-1]
