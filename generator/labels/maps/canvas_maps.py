"""The class maps of a canvas's regions, kept beside those of the whole canvas, and which region a pixel belongs to.

Each is kept under a name that says where it is, so that labels can be made again from kept maps alone. Knows only
arrays and names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: (x, y, width, height) in pixels.
Box = tuple[int, int, int, int]

#: Variance of a region's weights, in sides of the region, and their share of those of the background.
_VARIANCE, _BACKGROUND = 0.01, 1e-3
#: The least weight with which a pixel can be an object's: up to half a side from the middle of its region. There the
#: background counts more, but its prompt names no object, and leaves one that has begun as it is.
_OWNED = 1e-5
#: How much more a region counts than those behind it, at most: the border between two that overlap by a quarter then
#: moves by 0.03 of a side. Regions are not hidden however many lie in front of them.
_IN_FRONT = 8.0
#: Variance of the weights of a background tile, which has neighbours on all sides.
_TILE_VARIANCE = 0.1

_NAME = re.compile(r"(lost |)region (\d+) at (\d+),(\d+) of (\d+)x(\d+): (.+)", re.DOTALL)


class RegionMap(NamedTuple):
    """A map's class and place: ``order`` counts the regions of a canvas from the rearmost on. A region is ``lost``
    where its object was not found."""

    order: int
    box: Box
    label: str
    lost: bool = False

    @property
    def name(self) -> str:
        """The name that it is kept under."""
        x, y, width, height = self.box
        return f"{'lost ' if self.lost else ''}region {self.order} at {x},{y} of {width}x{height}: {self.label}"

    @classmethod
    def named(cls, name: str) -> RegionMap | None:
        """The map of that name; None for another one."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        lost, order, x, y, width, height, label = match.groups()
        return cls(int(order), (int(x), int(y), int(width), int(height)), label, bool(lost))


def region_maps(names: Collection[str]) -> dict[str, RegionMap]:
    """Those of the names that are of regions -> what they mean."""
    found = {name: RegionMap.named(name) for name in names}
    return {name: region for name, region in found.items() if region is not None}


def whole_maps(heatmaps: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The maps of whole images alone."""
    regions = region_maps(heatmaps)
    return {name: heat for name, heat in heatmaps.items() if name not in regions}


def region_weights(height: int, width: int, order: int) -> NDArray[np.float32]:
    """(height, width) how much a region counts at its pixels, beside others and the background.

    A Gaussian as in MosaicFusion (Xie et al. 2024); a region in front counts more.
    """
    return np.float32(_IN_FRONT ** (order / (order + 1))) * _gaussian(height, width, _VARIANCE)


def tile_weights(height: int, width: int) -> NDArray[np.float32]:
    """(height, width) how much a tile of the background counts at its pixels."""
    return np.float32(_BACKGROUND) * _gaussian(height, width, _TILE_VARIANCE)


def owners(boxes: Mapping[int, Box], shape: tuple[int, int]) -> NDArray[np.int16]:
    """(H, W) the order of the region that counts most at each pixel of an image of (height, width) ``shape``; -1 far
    from all of them."""
    best = np.full(shape, _OWNED, np.float32)
    owner = np.full(shape, -1, np.int16)
    for order, (x, y, width, height) in boxes.items():
        place = slice(y, y + height), slice(x, x + width)
        weights = region_weights(height, width, order)[: shape[0] - y, : shape[1] - x]
        more = weights > best[place]
        best[place][more], owner[place][more] = weights[more], order
    return owner


def tiles(size: tuple[int, int], tile: tuple[int, int], cell: int) -> list[Box]:
    """Boxes of ``tile`` (width, height) that cover an image of ``size`` and overlap by an eighth of their sides at
    least; they begin at multiples of ``cell`` pixels."""
    columns, rows = (_starts(outer, inner, cell) for outer, inner in zip(size, tile, strict=True))
    return [(x, y, *tile) for y in rows for x in columns]


def _starts(outer: int, inner: int, cell: int) -> Sequence[int]:
    count = 1 + max(0, int(np.ceil((outer - inner) / (inner * 0.875) - 1e-9)))
    return [int(start) // cell * cell for start in np.linspace(0, outer - inner, count)]


def _gaussian(height: int, width: int, variance: float) -> NDArray[np.float32]:
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in (height, width))
    weights: NDArray[np.float32] = np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * variance)).astype(np.float32)
    return weights
