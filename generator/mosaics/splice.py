"""Splices images into a grid, with their labels (DiffuMask, Wu et al. 2023). Knows only arrays.

Semantic masks and instances take the same pixels of an image, so that they fit each other exactly; polygons and boxes
follow from the instances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.model import Instance, Labels


@dataclass(frozen=True, eq=False)
class Tile:
    """An image, (H, W, 3) uint8 RGB, and its labels, of the same size."""

    pixels: NDArray[np.uint8]
    labels: Labels


def cell_shape(shape: tuple[int, int], rows: int, columns: int, longest: int) -> tuple[int, int]:
    """(height, width) of the cells of a grid whose longest side has ``longest`` pixels at most.

    Cells have the proportions of ``shape``, the (height, width) of an image, and are no larger.
    """
    height, width = shape
    scale = min(1.0, longest / max(rows * height, columns * width))
    return max(1, int(height * scale)), max(1, int(width * scale))


def fitted(tile: Tile, shape: tuple[int, int]) -> Tile:
    """An image and its labels in (height, width) ``shape``: cut to its proportions around the middle, then resized.

    Labels are those at the middles of the new pixels. An instance of which no pixel is left is left out.
    """
    height, width = tile.pixels.shape[:2]
    scale = min(height / shape[0], width / shape[1])
    rows, columns = (_window(length, round(side * scale)) for length, side in zip((height, width), shape, strict=True))
    pixels = np.ascontiguousarray(tile.pixels[rows, columns])
    if pixels.shape[:2] != shape:
        pixels = np.asarray(cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    taken = np.ix_(_middles(rows, shape[0]), _middles(columns, shape[1]))

    def resized(plane: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(plane[taken])

    instances = [(each, resized(each.mask)) for each in tile.labels.instances]
    kept = tuple(
        Instance(each.label, mask, each.confidence, each.refined, each.found_by)
        for each, mask in instances
        if mask.any()
    )
    return Tile(pixels, Labels(resized(tile.labels.semantic), kept, tile.labels.classes))


def splice(tiles: Sequence[Tile], rows: int, columns: int) -> Tile:
    """One image of ``rows`` x ``columns`` others, row by row.

    Raises:
        LabelError: another number of images, or images that differ in size or in their classes.
    """
    if len(tiles) != rows * columns:
        raise LabelError(f"{len(tiles)} images for {rows} x {columns} cells")
    height, width = tiles[0].pixels.shape[:2]
    if any(
        tile.pixels.shape[:2] != (height, width) or tile.labels.classes != tiles[0].labels.classes for tile in tiles
    ):
        raise LabelError("images of a mosaic have one size and one list of classes")
    pixels = np.zeros((rows * height, columns * width, 3), np.uint8)
    semantic = np.zeros(pixels.shape[:2], np.uint8)
    instances = []
    for index, tile in enumerate(tiles):
        top, left = index // columns * height, index % columns * width
        place = np.s_[top : top + height, left : left + width]
        pixels[place], semantic[place] = tile.pixels, tile.labels.semantic
        for each in tile.labels.instances:
            mask = np.zeros(semantic.shape, np.bool_)
            mask[place] = each.mask
            instances.append(Instance(each.label, mask, each.confidence, each.refined, each.found_by))
    return Tile(pixels, Labels(semantic, tuple(instances), tiles[0].labels.classes))


def _window(length: int, wanted: int) -> slice:
    """The middle ``wanted`` of ``length`` pixels."""
    wanted = min(max(wanted, 1), length)
    start = (length - wanted) // 2
    return slice(start, start + wanted)


def _middles(window: slice, count: int) -> NDArray[np.int_]:
    """The pixel at the middle of each of ``count`` equal parts of a window."""
    length = window.stop - window.start
    return window.start + ((np.arange(count) + 0.5) * length / count).astype(np.int_)
