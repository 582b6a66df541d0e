"""Images with exact masks for training the mask network: shapes cut out of one photograph and pasted on another.

What they show makes no sense, and need not: the network is to learn what an outline looks like, in photographs'
textures, light and noise, and when to believe an edge and when the map. So some shapes are filled with a texture of
their own, some with several, some with almost what lies behind them, and some with nothing new at all: there only the
map says where they are. Others are areas of one photograph that belong together by colour (Felzenszwalb and
Huttenlocher 2004), whose outlines are the photograph's own.

The photographs are those that scikit-image and scikit-learn ship as examples, under free licences.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
import sklearn
from numpy.typing import NDArray
from skimage.io import imread
from skimage.segmentation import felzenszwalb

Image = NDArray[np.uint8]
Cover = NDArray[np.float32]  # (H, W) in [0, 1]: how much of each pixel an object covers

#: Names of scikit-image's examples, and how often each is drawn against the others.
_PHOTOGRAPHS = {
    "astronaut": 1.0, "coffee": 1.0, "chelsea": 1.0, "rocket": 1.0, "motorcycle_left.png": 1.0, "china.jpg": 1.2,
    "flower.jpg": 1.0, "immunohistochemistry": 0.3, "hubble_deep_field": 0.15, "grass": 0.3, "gravel": 0.3,
    "brick": 0.3,
}  # fmt: skip
#: So many of them show things, whose areas are worth cutting out.
_OF_THINGS = 7

#: Shapes are drawn so many times larger and averaged down.
_SUPERSAMPLING = 4


@cache
def photographs() -> list[Image]:
    """The example photographs, each (H, W, 3) uint8 RGB."""
    folders = [Path(skimage.data.__file__).parent, Path(sklearn.__file__).parent / "datasets" / "images"]
    images = []
    for name in _PHOTOGRAPHS:
        if "." in name:
            path = next(folder / name for folder in folders if (folder / name).exists())
            image = imread(path)
        else:
            image = getattr(skimage.data, name)()
        pixels = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., :3]
        images.append(np.ascontiguousarray(pixels, np.uint8))
    return images


class Composer:
    """Composes images of a size, each with the covers of its objects by made-up classes."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._photographs = rng, photographs()
        odds = np.array(list(_PHOTOGRAPHS.values()))
        self._odds = odds / odds.sum()

    def pasted(self, size: tuple[int, int]) -> tuple[Image, list[tuple[str, Cover]]]:
        """One to eight shapes on a crop of a photograph, (width, height) pixels; later ones hide earlier ones."""
        rng, (width, height) = self._rng, size
        behind = self._photograph()
        canvas = recoloured(self._crop(size, behind, 0.3), rng).astype(np.float32)
        if rng.random() < 0.25:  # out of focus
            canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.8, 4)), np.float32)
        if rng.random() < 0.2:
            canvas = _flattened(canvas, 0.3)
        objects: list[tuple[str, Cover]] = []
        for _ in range(rng.integers(1, 9)):
            radius = min(size) * float(np.exp(rng.uniform(np.log(0.07), np.log(0.5))))
            shape = self._shape(size, (rng.uniform(0, width), rng.uniform(0, height)), radius)
            if shape.sum() < 20:
                continue
            seen = cv2.GaussianBlur(shape, (0, 0), rng.uniform(0.3, 1.0))[..., None]
            hidden = rng.random()
            fill = self._like(canvas) if hidden < 0.4 else self._texture(size, behind, shape, radius)
            if hidden < 0.22:
                seen *= 0
            if rng.random() < 0.4:
                moved = np.roll(shape, (int(radius * 0.2), int(rng.normal(0, radius * 0.2))), (0, 1))
                canvas *= 1 - 0.5 * cv2.GaussianBlur(moved, (0, 0), max(0.5, radius * 0.1))[..., None]
            canvas = canvas * (1 - seen) + np.clip(fill, 0, 255) * seen
            objects = [(label, cover * (1 - shape)) for label, cover in objects]
            if rng.random() < 0.65 or not objects:  # the others are in no mask
                objects.append((str(rng.integers(0, 3)), shape))
        return np.clip(canvas, 0, 255).astype(np.uint8), objects

    def areas(self, size: tuple[int, int]) -> tuple[Image, list[tuple[str, Cover]]]:
        """A crop of a photograph as it is, (width, height) pixels, of which one to three areas are objects."""
        rng = self._rng
        image = self._crop(size, self._photographs[rng.integers(_OF_THINGS)], 0.35)
        parts = felzenszwalb(image, scale=float(rng.choice([60, 150, 300, 600])), sigma=0.8, min_size=60)
        objects, taken = [], np.zeros(parts.shape, np.bool_)
        for _ in range(rng.integers(1, 4)):
            area = parts == parts[rng.integers(size[1]), rng.integers(size[0])]
            for _ in range(rng.integers(0, 6)):
                rim = cv2.dilate(area.astype(np.uint8), np.ones((3, 3))).astype(bool) & ~area
                beside = [part for part in np.unique(parts[rim]) if (parts == part).mean() < 0.3]
                if beside:
                    area |= parts == rng.choice(beside)
            area &= ~taken
            if 0.01 < area.mean() < 0.6:
                objects.append((str(rng.integers(0, 2)), area.astype(np.float32)))
                taken |= area
        return (recoloured(image, rng) if rng.random() < 0.7 else image), objects

    def loosened(self, cover: Cover) -> Cover:
        """A cover as people draw one: rounder, a little too large or too small."""
        rng = self._rng
        blurred = cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.5, 2.2))
        return np.asarray(np.clip((blurred - rng.uniform(0.35, 0.65)) * 4 + 0.5, 0, 1), np.float32)

    def _photograph(self) -> Image:
        return self._photographs[self._rng.choice(len(self._photographs), p=self._odds)]

    def _crop(self, size: tuple[int, int], photograph: Image, smallest: float) -> Image:
        """A part of a photograph, at least ``smallest`` of what fits into it, at (width, height) pixels."""
        rng, (width, height) = self._rng, size
        tall, wide = photograph.shape[:2]
        scale = min(wide / width, tall / height) * rng.uniform(smallest, 1)
        columns, rows = max(4, int(width * scale)), max(4, int(height * scale))
        top, left = rng.integers(tall - rows + 1), rng.integers(wide - columns + 1)
        part = photograph[top : top + rows, left : left + columns]
        crop = cv2.resize(part, size, interpolation=cv2.INTER_AREA if columns > width else cv2.INTER_LINEAR)
        return np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop)

    def _shape(self, size: tuple[int, int], centre: tuple[float, float], radius: float) -> Cover:
        """A closed shape, round or with corners, some with limbs."""
        rng, (width, height) = self._rng, size
        if rng.random() < 0.3:
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
            radii = rng.uniform(0.4, 1.2, len(angles))
        else:
            angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
            waves = range(1, rng.integers(3, 8))
            ripples = [rng.normal(0, 0.35 / wave) * np.cos(wave * angles + rng.uniform(0, 6.28)) for wave in waves]
            radii = np.maximum(1 + np.add.reduce(ripples), 0.15)
        slender, turn = float(np.exp(rng.normal(0, 0.45))), rng.uniform(0, np.pi)
        x, y = radii * np.cos(angles) * slender, radii * np.sin(angles) / slender
        turned = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1)
        corners = np.round((np.array(centre) + radius * turned) * _SUPERSAMPLING).astype(np.int32)
        canvas = np.zeros((height * _SUPERSAMPLING, width * _SUPERSAMPLING), np.uint8)
        cv2.fillPoly(canvas, [corners], 255)
        for _ in range(rng.integers(1, 4) if rng.random() < 0.25 else 0):
            start = corners[rng.integers(len(corners))]
            end = np.round(start + rng.normal(0, radius * _SUPERSAMPLING, 2)).astype(int)
            cv2.line(canvas, start.tolist(), end.tolist(), 255, int(max(2, radius * 4 * rng.uniform(0.1, 0.35))))
        return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)

    def _texture(self, size: tuple[int, int], behind: Image, shape: Cover, radius: float) -> NDArray[np.floating]:
        """What fills a shape: part of a photograph, one time in two with parts of others on it, or shaded."""
        rng, (width, height) = self._rng, size
        source = behind if rng.random() < 0.25 else self._photograph()
        fill: NDArray[Any] = recoloured(self._crop(size, source, 0.15), rng).astype(np.float32)
        if rng.random() < 0.3:
            fill = _flattened(fill, 0.25)
        inside = np.argwhere(shape > 0.5)
        if rng.random() < 0.65 and len(inside):
            for _ in range(rng.integers(1, 7)):
                row, column = inside[rng.integers(len(inside))]
                part = self._shape(size, (column, row), radius * rng.uniform(0.2, 0.9))[..., None]
                other = recoloured(self._crop(size, self._photograph(), 0.15), rng).astype(np.float32)
                fill = fill * (1 - part) + (other if rng.random() < 0.6 else _flattened(other, 0.2)) * part
        if rng.random() < 0.5:
            dark, bright = rng.uniform(0.5, 1), rng.uniform(1, 1.4)
            across = rng.random() < 0.5
            fill = fill * (
                np.linspace(dark, bright, width)[:, None]
                if across
                else np.linspace(bright, dark, height)[:, None, None]
            )
        return fill

    def _like(self, canvas: NDArray[np.float32]) -> NDArray[np.floating]:
        """Almost what is there already."""
        rng = self._rng
        moved = np.roll(canvas, tuple(rng.integers(-25, 25, 2)), (0, 1)) if rng.random() < 0.5 else canvas
        return np.asarray(moved * rng.uniform(0.85, 1.15) + rng.normal(0, 6, 3))


def recoloured(image: Image, rng: np.random.Generator) -> Image:
    """An image with other hues, contrast and brightness, sometimes grey."""
    values = image.astype(np.float32)
    if rng.random() < 0.6:
        hues = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hues[..., 0] = (hues[..., 0].astype(int) + rng.integers(180)) % 180
        values = cv2.cvtColor(hues, cv2.COLOR_HSV2RGB).astype(np.float32)
    middle = values.mean()
    values = (values - middle) * rng.uniform(0.4, 1.4) + middle * rng.uniform(0.6, 1.3) + rng.normal(0, 12, 3)
    if rng.random() < 0.15:
        values = np.repeat(values.mean(axis=2, keepdims=True), 3, axis=2)
    return np.clip(values, 0, 255).astype(np.uint8)


def _flattened(values: NDArray[np.float32], contrast: float) -> NDArray[np.float32]:
    """With so much of its contrast left."""
    return np.asarray(values * contrast + values.mean(axis=(0, 1)) * (1 - contrast), np.float32)
