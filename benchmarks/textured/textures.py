"""Procedural textures: brick, grass, asphalt, fur, wood grain and others, as tiles of brightness.

A tile is (512, 512) uint8; 128 leaves a colour as it is, 64 halves it. Tiles repeat without a seam and are the same
in every process. Their contrast is moderate, so that a small autoencoder can learn them: a standard deviation of
some 10 around 128.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.tiny.shapes import RGB

TILE = 512
NEUTRAL = 128

Field = NDArray[np.float32]  # (TILE, TILE), about -1 to 1
_Y, _X = (axis.astype(np.float32) for axis in np.mgrid[:TILE, :TILE])


def _noise(rng: np.random.Generator, cell_x: int, cell_y: int | None = None) -> Field:
    """Smooth noise of mean 0 and variance 1 whose features are about ``cell_x`` x ``cell_y`` pixels large."""
    columns, rows = TILE // cell_x, TILE // (cell_y or cell_x)
    coarse = rng.standard_normal((rows, columns), np.float32)
    # Three periods are enlarged and the middle one is cut out, so that the tile repeats without a seam.
    enlarged = cv2.resize(np.tile(coarse, (3, 3)), (3 * TILE, 3 * TILE), interpolation=cv2.INTER_CUBIC)
    field = enlarged[TILE : 2 * TILE, TILE : 2 * TILE]
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def _blocks(rng: np.random.Generator, wide: int, tall: int, joint: int) -> tuple[Field, Field]:
    """A wall of blocks, every other row shifted by half: each block's own value (-1 to 1), and 1 on the joints."""
    row = (_Y // tall).astype(int)
    x = (_X + (row % 2) * (wide // 2)) % TILE
    column = (x // wide).astype(int)
    values = rng.uniform(-1, 1, (TILE // tall, TILE // wide)).astype(np.float32)
    joints = ((x % wide < joint) | (_Y % tall < joint)).astype(np.float32)
    return values[row, column], joints


def _brick(rng: np.random.Generator) -> Field:
    value, joint = _blocks(rng, 32, 16, 4)
    return np.where(joint > 0, -1.6, 0.35 + 0.6 * value)


def _paving(rng: np.random.Generator) -> Field:
    value, joint = _blocks(rng, 64, 64, 4)
    return np.where(joint > 0, -1.8, 0.15 + 0.6 * value + 0.3 * _noise(rng, 8))


def _shingles(rng: np.random.Generator) -> Field:
    value, _ = _blocks(rng, 32, 16, 2)
    return 1.1 - (_Y % 16) / 7 + 0.4 * value


def _windows(rng: np.random.Generator) -> Field:
    value, _ = _blocks(rng, 16, 16, 4)
    pane = (_X % 16 >= 5) & (_X % 16 < 13) & (_Y % 16 >= 5) & (_Y % 16 < 13)
    return np.where(pane, 1.2 * np.sign(value), 0)


def _grass(rng: np.random.Generator) -> Field:
    return 0.8 * _noise(rng, 4, 16) + 0.7 * _noise(rng, 64, 32)


def _asphalt(rng: np.random.Generator) -> Field:
    return 0.8 * _noise(rng, 4) + 0.6 * _noise(rng, 64)


def _sand(rng: np.random.Generator) -> Field:
    return np.sin(_Y * (2 * np.pi / 32) + 1.2 * _noise(rng, 64, 32)) + 0.3 * _noise(rng, 4)


def _water(rng: np.random.Generator) -> Field:
    return 0.9 * _noise(rng, 64, 8) + 0.4 * _noise(rng, 16, 4)


def _wood(rng: np.random.Generator) -> Field:
    return np.sin(_X * (2 * np.pi / 16) + 1.5 * _noise(rng, 32, 128)) + 0.4 * _noise(rng, 4, 64)


def _fur(rng: np.random.Generator) -> Field:
    return 0.9 * _noise(rng, 4, 32) + 0.6 * _noise(rng, 16, 32)


def _foliage(rng: np.random.Generator) -> Field:
    return 1.1 * np.tanh(1.5 * _noise(rng, 16)) + 0.6 * _noise(rng, 32)


def _cloud(rng: np.random.Generator) -> Field:
    return 0.8 * _noise(rng, 128, 32) + 0.5 * _noise(rng, 32, 16)


def _smudged(rng: np.random.Generator) -> Field:
    return 0.45 * _noise(rng, 32) + 0.25 * _noise(rng, 4)


def _pane(rng: np.random.Generator) -> Field:
    return np.where((_X + _Y) % 64 < 20, 1.3, -0.4) + 0.1 * _noise(rng, 16)


_FIELDS: dict[str, Callable[[np.random.Generator], Field]] = {
    "asphalt": _asphalt, "brick": _brick, "cloud": _cloud, "foliage": _foliage, "fur": _fur, "grass": _grass,
    "pane": _pane, "paving": _paving, "sand": _sand, "shingles": _shingles, "smudged": _smudged, "water": _water,
    "windows": _windows, "wood": _wood,
}  # fmt: skip

NAMES: tuple[str, ...] = tuple(_FIELDS)


@cache
def tile(name: str) -> NDArray[np.uint8]:
    """The tile of a texture of ``NAMES``."""
    field = _FIELDS[name](np.random.default_rng(NAMES.index(name)))
    return np.clip(np.rint(NEUTRAL + 13 * field), 0, 255).astype(np.uint8)


def flat_patch(name: str, shape: tuple[int, int], offset: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width) ``shape`` of a texture seen from straight ahead, from pixel ``offset`` (x, y) of its tile."""
    rows, columns = (np.arange(length) + start for length, start in zip(shape, offset[::-1], strict=True))
    return tile(name).take(rows, axis=0, mode="wrap").take(columns, axis=1, mode="wrap")


def ground_patch(name: str, shape: tuple[int, int], offset: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width) ``shape`` of a texture that lies on the ground: the first row is farthest and finest."""
    height, width = shape
    beyond = 0.6 * height  # the rows between the first one and the vanishing line, where it would be too fine
    across, along = 0.9 * (height + beyond), 2.2 * (height + beyond) * beyond
    inverse = np.array(
        [[across, offset[0], beyond * offset[0] - across * width / 2], [0, offset[1], along], [0, 1, beyond]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpPerspective(tile(name), inverse, (width, height), flags=flags, borderMode=cv2.BORDER_WRAP)
    return np.asarray(patch, np.uint8)


def multiply(canvas: NDArray[np.uint8], brightness: NDArray[np.uint8], contrast: float = 1.0) -> None:
    """Multiply a (H, W, 3) ``canvas`` in place by a patch of a tile, (H, W) or (H, W, 3), its ``contrast`` lowered."""
    if contrast != 1:
        lowered = cv2.convertScaleAbs(brightness, alpha=contrast, beta=NEUTRAL * (1 - contrast))
        brightness = np.asarray(lowered, np.uint8)
    if brightness.ndim == 2:
        brightness = np.asarray(cv2.merge([brightness] * 3), np.uint8)
    cv2.multiply(canvas, brightness, dst=canvas, scale=1 / NEUTRAL)


def shading(shape: tuple[int, int], light: tuple[float, float], tint: RGB, strength: float) -> NDArray[np.uint8]:
    """(height, width, 3) brightness as in a tile: high where ``light`` comes from, low on the other side.

    ``light`` points towards the light as (x, y), y down; the bright side takes on ``tint``'s hue.
    """
    # Bilinear between the corners, which is exact but for the turn from dark to bright.
    x, y = np.meshgrid(np.linspace(-1, 1, 9, dtype=np.float32), np.linspace(-1, 1, 9, dtype=np.float32))
    slope = (strength * (light[0] * x + light[1] * y))[..., None]
    hue = np.asarray(tint, np.float32) / max(tint)
    coarse = NEUTRAL * (1 + np.where(slope > 0, slope * hue, slope))
    return np.rint(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR)).astype(np.uint8)
