"""Self-attention refinement: each pixel takes the heat of the pixels that it attends to in the image itself.

The pixels of an object attend to each other, also where attention to its name covers only a part of it. With S the mean
attention of n pixels to each other over heads, layers and passes, (n, n) with rows that sum to 1, and C a class's map
brought to the size of S, the refined map is S^tau C (Nguyen et al. 2023, "Dataset Diffusion"). A mean over many heads
is blurred, and every product with it blurs more. So S may be sharpened before: each share raised to a power and the
rows made to sum to 1 again, as in Markov clustering (van Dongen 2000), where the two steps are called expansion and
inflation.

S of 64 x 64 pixels takes 64 MiB an image, of 128 x 128 a GiB, and it has to be kept: a mean of softmaxes is not the
softmax of mean queries, and C is known only after the last pass. But neighbouring pixels get similar attention, and C
is smooth. So where S would be larger than ``LIMIT_MIB``, its columns are added up over squares of pixels, called cells,
as they come: (n, cells), where a map is averaged over each cell before each product. Rows stay as they are, so the
result has the value of every pixel. Up to 45 x 45 pixels a cell is one pixel, and the result exact.

Reading it costs more than reading words, and a few passes are as good as all of them: the objects of an image are
distinct once most of the noise is gone. So within ``TraceSettings.refine_noise`` one pass is read for each quarter of
the schedule.

Knows tensors, neither models nor words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from math import log, prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diffucurate.generator.attention.capture.maps import MapGrid

#: What is kept of one image's self-attention takes no more than this: 64 x 64 pixels by 32 x 32 cells in float32.
LIMIT_MIB = 16.0

#: The number of pixels whose self-attention is read by default: 32 x 32, as in Dataset Diffusion.
_USUAL = 32 * 32

#: Attention probabilities held at once while they are added up, in numbers: 16 MiB of float32, and on a CPU 4 MiB,
#: which stay in its caches and so take a third of the time.
_CHUNK, _CHUNK_ON_CPU = 2**22, 2**20


class SelfAttention:
    """Adds up the self-attention of one batch of images at one size, and refines class maps by it.

    Args:
        factor: how much coarser than the latent the layers are that count. By default those whose size comes nearest
            to 32 x 32 pixels, known after the first pass through the model.
        noise: lowest and highest noise level of the passes that are ``due``, as shares of the schedule, one for each
            quarter of it.
        limit_mib: the most memory that is kept per image, in MiB.
    """

    def __init__(
        self, factor: int | None = None, noise: tuple[float, float] = (0.0, 1.0), limit_mib: float = LIMIT_MIB
    ) -> None:
        self._factor, self._noise, self._limit = factor, noise, limit_mib * 2**20
        self._quarters: set[int] = set()  # of the schedule, of which a pass was read
        self._grid: MapGrid | None = None
        self._side, self._heads = 1, 0
        self._total = torch.empty(0)  # (images, pixels, cells)

    @property
    def empty(self) -> bool:
        """Whether nothing was added yet."""
        return self._grid is None

    def clear(self) -> None:
        """Forget what was added."""
        self._grid, self._heads = None, 0

    def due(self, level: float) -> bool:
        """Whether a pass at this noise level, a share of the schedule, is to be read; asked once of each, in order."""
        low, high = self._noise
        if not low <= level <= high or int(4 * level) in self._quarters:
            return False
        self._quarters.add(int(4 * level))
        return True

    def reads(self, grid: MapGrid) -> bool:
        """Whether layers of this size count, as far as is known."""
        if self._factor is not None:
            return grid.factor == self._factor
        return self._grid in (None, grid) or _oddness(grid) < _oddness(self._grid)

    def add(self, grid: MapGrid, query: Tensor, key: Tensor, scale: float, text: Tensor | None = None) -> None:
        """Add one layer's self-attention of one pass.

        Args:
            grid: the layer's size, for which ``reads`` is true. What was added of another size is dropped.
            query, key: (images, heads, pixels, channels), any float dtype; the softmax is taken in float32.
            scale: the factor of their product.
            text: (images, heads, tokens, channels), keys of words that share each pixel's attention, so that rows sum
                to less than 1; None where pixels share it among themselves.
        """
        images, heads, pixels, _ = query.shape
        if grid != self._grid:
            self._grid, self._side, self._heads = grid, cell_side(grid.size, self._limit), 0
            self._total = torch.zeros(images, pixels, prod(cells(grid.size, self._side)), device=query.device)
        for rows, shares in summed_shares(query, key, scale, grid.size, self._side, text):
            self._total[:, rows] += shares
        self._heads += heads

    @property
    def factor(self) -> int | None:
        """How much coarser than the latent the layers are that count; None while that is unknown."""
        return self._grid.factor if self._grid is not None else self._factor

    @property
    def nbytes(self) -> int:
        """The memory of the sums, in bytes."""
        return self._total.nbytes

    def described(self) -> tuple[dict[str, Any], Tensor]:
        """The sums as plain data and a tensor on the CPU, to be stored in a file; must not be ``empty``."""
        assert self._grid is not None
        about = {"factor": self._grid.factor, "size": self._grid.size, "side": self._side, "heads": self._heads}
        return about, self._total.cpu().contiguous()

    @classmethod
    def restored(cls, about: Mapping[str, Any], total: Tensor) -> SelfAttention:
        """From the results of ``described``."""
        read = cls(about["factor"])
        read._grid = MapGrid(about["factor"], (about["size"][0], about["size"][1]))
        read._side, read._heads, read._total = about["side"], about["heads"], total
        return read

    def refine(
        self, maps: Sequence[Mapping[str, NDArray[np.float32]]], tau: int, inflation: float = 1.0
    ) -> list[dict[str, NDArray[np.float32]]]:
        """S^tau C for each class map C of each image.

        Args:
            maps: one mapping class -> (h, w) map >= 0 per image, in the order of the batch; all maps of an image
                are of one size. Larger ones than the self-attention's are averaged, smaller ones enlarged bilinearly.
            tau: how often the self-attention is applied, from 1 on.
            inflation: the power its shares are raised to before, above 0; 1 leaves them as they are. More than 1
                pixel to a cell, it is the cells' shares that are raised.

        Returns:
            The same classes' maps, (height, width) float32 >= 0 of the self-attention's own size, nothing being
            ``empty``. A refined map's range lies within that of the map it was made of.
        """
        if self._grid is None:
            return [dict(classes) for classes in maps]
        size, refined = self._grid.size, []
        for total, classes in zip(self._total, maps, strict=True):
            by_class: dict[str, NDArray[np.float32]] = {}
            if classes:
                shares = _inflated(total, inflation) if inflation != 1 else total / self._heads
                heat = _resized(torch.from_numpy(np.stack(list(classes.values()))).to(total), size)
                for _ in range(tau):
                    heat = by_cell(heat, size, self._side, summed=False) @ shares.T
                by_class = dict(zip(classes, heat.unflatten(-1, size).cpu().numpy(), strict=True))
            refined.append(by_class)
        return refined


def expected_bytes(grids: Iterable[MapGrid], factor: int | None, limit_mib: float = LIMIT_MIB) -> int:
    """The memory that the self-attention of one image will take, layers being of these sizes; see ``SelfAttention``."""
    read = [grid for grid in grids if factor in (None, grid.factor)]
    if not read:
        return 0
    size = min(read, key=_oddness).size
    return 4 * prod(size) * prod(cells(size, cell_side(size, limit_mib * 2**20)))


def summed_shares(
    query: Tensor, key: Tensor, scale: float, size: tuple[int, int], side: int, text: Tensor | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Pixels' attention to each other, a few rows after the other: which rows, and their (images, rows, cells) shares,
    added up over the heads and over cells of ``side`` pixels; of maps of ``size``. Arguments as for
    ``SelfAttention.add``."""
    images, heads, pixels, _ = query.shape
    keys = (key if text is None else torch.cat([key, text.to(key)], dim=2)).float().transpose(2, 3)
    limit = _CHUNK_ON_CPU if query.device.type == "cpu" else _CHUNK
    step = max(1, limit // (images * heads * keys.shape[3]))
    for start in range(0, pixels, step):
        rows = slice(start, start + step)
        shares = ((query[:, :, rows].float() * scale) @ keys).softmax(dim=-1).sum(dim=1)
        yield rows, by_cell(shares[..., :pixels], size, side, summed=True)


def _inflated(shares: Tensor, power: float) -> Tensor:
    """(pixels, cells) with each number raised to a power and rows that sum to 1, whatever they summed to."""
    raised = (shares / shares.amax(dim=-1, keepdim=True)) ** power  # by the largest, so that not all are rounded to 0
    return raised / raised.sum(dim=-1, keepdim=True)


def _oddness(grid: MapGrid | None) -> tuple[float, int]:
    """How far a size is from the usual one; of two that are as far, the finer one comes first."""
    return (abs(log(prod(grid.size) / _USUAL)), grid.factor) if grid is not None else (float("inf"), 0)


def cells(size: tuple[int, int], side: int) -> tuple[int, int]:
    """How many cells of ``side`` pixels there are down and across in maps of ``size``."""
    return -(-size[0] // side), -(-size[1] // side)


def cell_side(size: tuple[int, int], limit: float) -> int:
    """The side of the smallest cells with which float32 numbers of (pixels, cells) take up to ``limit`` bytes."""
    return next(side for side in count(1) if 4 * prod(size) * prod(cells(size, side)) <= limit or side >= max(size))


def by_cell(values: Tensor, size: tuple[int, int], side: int, *, summed: bool) -> Tensor:
    """(..., pixels) -> (..., cells): the sum or the mean over each cell; those at the far edges may be smaller."""
    if side == 1:
        return values
    planes = values.unflatten(-1, size).flatten(0, -3)[:, None]
    pooled = functional.avg_pool2d(planes, side, ceil_mode=True, divisor_override=1 if summed else None)
    return pooled.reshape(*values.shape[:-1], -1)


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(classes, h, w) -> (classes, pixels)."""
    mode = "area" if prod(maps.shape[1:]) > prod(size) else "bilinear"
    return functional.interpolate(maps[None], size, mode=mode)[0].flatten(1)
