"""A loss curve as a picture: each step faintly, and their running mean. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

#: Width and height in pixels, and the room left for the axes' words: left, top, right, bottom.
SIZE = (640, 320)
_MARGINS = (56, 16, 16, 32)

_INK, _GRID, _FAINT, _LINE = (60, 64, 67), (218, 220, 224), (190, 212, 240), (11, 99, 196)


def loss_plot(losses: Sequence[float]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of ``SIZE``: loss over steps, the first of which is 1."""
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = _MARGINS[0], _MARGINS[1], SIZE[0] - _MARGINS[2], SIZE[1] - _MARGINS[3]
    values = np.asarray(losses, np.float64)
    low, high = _range(values)

    def at(steps: NDArray[np.float64], heights: NDArray[np.float64]) -> list[tuple[float, float]]:
        x = left + (right - left) * (steps - 1) / max(len(values) - 1, 1)
        y = bottom - (bottom - top) * (np.clip(heights, low, high) - low) / (high - low)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    for share in np.linspace(0, 1, 5):
        value = low + share * (high - low)
        ((_, y),) = at(np.ones(1), np.array([value]))
        draw.line([(left, y), (right, y)], fill=_GRID)
        draw.text((left - 6, y), f"{value:.3f}", fill=_INK, anchor="rm")
    for share in np.linspace(0, 1, 5):
        draw.text((left + share * (right - left), bottom + 14), f"{round(share * len(values))}", fill=_INK, anchor="mm")
    if len(values) > 1:
        steps = np.arange(1.0, len(values) + 1)
        draw.line(at(steps, values), fill=_FAINT)
        draw.line(at(steps, _smooth(values)), fill=_LINE, width=2)
    return np.asarray(picture)


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """What the axis shows: nearly all values, so that a few wild ones do not flatten the rest."""
    if not len(values):
        return 0.0, 1.0
    low, high = np.quantile(values, (0.01, 0.99))
    room = 0.05 * (high - low) or 0.05
    return float(low - room), float(high + room)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over a twentieth of the curve around each step."""
    width = max(1, len(values) // 20)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    index = np.arange(len(values))
    low, high = np.maximum(0, index - width // 2), np.minimum(len(values), index + width // 2 + 1)
    mean: NDArray[np.float64] = (sums[high] - sums[low]) / (high - low)
    return mean
