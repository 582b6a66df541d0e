"""Things that stand or lie about in a scene and that no caption and no mask knows: stones, crates, fences and such."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.tiny.shapes import COLOURS, RGB

Mask = NDArray[np.uint8]  # (H, W), 255 where something is

_DULL: tuple[RGB, ...] = (
    (120, 112, 104), (92, 84, 80), (150, 120, 86), (110, 78, 52), (170, 150, 120), (84, 100, 104), (150, 96, 84),
)  # fmt: skip


class Clutter(NamedTuple):
    """One such thing: its pixels on the canvas, its colour before any light, its texture."""

    mask: Mask
    colour: RGB
    texture: str
    casts_shadow: bool


class _Place(NamedTuple):
    """Where something stands, in pixels of the canvas: its foot, its size, and the horizon's row."""

    x: float
    y: float
    size: float
    horizon: int
    unit: float  # a pixel of an image of 128 pixels


def clutter(shape: tuple[int, int], horizon: int, rng: Random) -> Clutter:
    """Something on the ground or at the horizon of a canvas of (height, width) ``shape``.

    One in five has a colour that captions use, so that colour alone makes no object.
    """
    height, width = shape
    unit = height / 128
    kind = rng.choice(("stone", "stone", "crate", "barrel", "fence", "patch", "patch", "poster"))
    colour = rng.choice(_DULL if rng.random() < 0.8 else tuple(COLOURS.values()))
    x = rng.uniform(0, width)
    y = horizon + rng.betavariate(1, 2) * (height - horizon)  # more of it far away
    mask = np.zeros(shape, np.uint8)
    texture = _KINDS[kind](mask, _Place(x, y, unit * rng.uniform(6, 11), horizon, unit), rng)
    red, green, blue = (round(0.8 * value) for value in colour)
    return Clutter(mask, (red, green, blue), texture, kind not in ("patch", "poster"))


# Each kind draws its mask and returns its texture.


def _stone(mask: Mask, place: _Place, rng: Random) -> str:
    turns = np.array(sorted(rng.uniform(0, 2 * np.pi) for _ in range(9)))
    x = place.x + place.size * np.cos(turns)
    y = place.y - 0.3 * place.size + 0.6 * place.size * np.sin(turns)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(np.stack([x, y], axis=1)).astype(np.int32)), 255)
    return "asphalt"


def _crate(mask: Mask, place: _Place, rng: Random) -> str:
    _rectangle(mask, place.x, place.y - place.size, place.x + 1.2 * place.size, place.y)
    return "wood"


def _barrel(mask: Mask, place: _Place, rng: Random) -> str:
    top = place.y - 1.3 * place.size
    _rectangle(mask, place.x, top, place.x + place.size, place.y)
    for level in (place.y, top):
        _ellipse(mask, place.x + place.size / 2, level, place.size / 2, place.size / 6)
    return "fur"


def _fence(mask: Mask, place: _Place, rng: Random) -> str:
    unit, foot = place.unit, place.horizon + 2 * place.unit
    for slat in range(rng.randint(4, 9)):
        left = place.x + slat * 4 * unit
        _rectangle(mask, left, foot - place.size, left + 2 * unit, foot)
    _rectangle(mask, place.x, foot - 0.7 * place.size, place.x + 24 * unit, foot - 0.5 * place.size)
    return "wood"


def _patch(mask: Mask, place: _Place, rng: Random) -> str:
    _ellipse(mask, place.x, place.y, 1.8 * place.size, 0.4 * place.size)
    return "water"


def _poster(mask: Mask, place: _Place, rng: Random) -> str:
    _rectangle(mask, place.x, place.horizon - 1.2 * place.size, place.x + 2 * place.size, place.horizon)
    return rng.choice(("pane", "windows", "brick"))


_KINDS: dict[str, Callable[[Mask, _Place, Random], str]] = {
    "stone": _stone, "crate": _crate, "barrel": _barrel, "fence": _fence, "patch": _patch, "poster": _poster,
}  # fmt: skip


def _rectangle(mask: Mask, left: float, top: float, right: float, bottom: float) -> None:
    cv2.rectangle(mask, (round(left), round(top)), (round(right), round(bottom)), 255, -1)


def _ellipse(mask: Mask, x: float, y: float, half_width: float, half_height: float) -> None:
    cv2.ellipse(mask, (round(x), round(y)), (round(half_width), round(half_height)), 0, 0, 360, 255, -1)
