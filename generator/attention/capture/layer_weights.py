"""How much each layer counts, by the agreement of its self-attention with a reference (GoCA, Meng et al. 2026, "auto
aggregation" over layers).

With F the features of a reference layer, (n, d), its affinity is R = softmax(F F^T / sqrt d), (n, n). A layer's
self-attention S, the mean over its heads, is brought to the size of R: its columns bilinearly, its rows by repeating
the nearest. The layer's weight is the sum over all pairs of pixels of R * S, divided by the sum over layers, at least
0. As in the published code, enlarged shares keep their values, so of two layers whose pixels attend evenly, the one
with a quarter of the pixels counts four times as much.

As in ``self_attention``, columns are added up over squares of pixels where a matrix would take more than a limit; up to
45 x 45 pixels all is exact. What comes before the reference layer in a pass is held until that is known: at most 16 MiB
a layer and image.

Knows tensors, neither models nor words.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.self_attention import (
    LIMIT_MIB,
    by_cell,
    cell_side,
    cells,
    summed_shares,
)

#: Rows of the reference compared at once, in numbers.
_CHUNK = 2**22


class LayerWeights:
    """The agreement of the layers of one batch of images with a reference layer, added up over passes.

    Args:
        limit_mib: the most memory that is kept of a layer and image, in MiB.
    """

    def __init__(self, limit_mib: float = LIMIT_MIB) -> None:
        self._limit = limit_mib * 2**20
        self._reference: tuple[MapGrid, Tensor] | None = None  # (images, pixels, cells) of this pass
        self._waiting: list[tuple[str, MapGrid, Tensor]] = []
        self._agreements: dict[str, Tensor] = {}

    def begin_pass(self) -> None:
        """Forget the reference of the pass before."""
        self._reference = None
        self._waiting.clear()

    def add(
        self, layer: str, grid: MapGrid, query: Tensor, key: Tensor, scale: float, text: Tensor | None = None
    ) -> None:
        """Add one layer's self-attention of one pass.

        Args:
            layer: the name by which ``of`` is asked for its weight.
            grid: what its maps are.
            query, key: (images, heads, pixels, channels), any float dtype; the softmax is taken in float32.
            scale: the factor of their product.
            text: (images, heads, tokens, channels), keys of words that share each pixel's attention, or None.
        """
        side = cell_side(grid.size, self._limit)
        images, heads, pixels, _ = query.shape
        shares = torch.empty(images, pixels, prod(cells(grid.size, side)), device=query.device)
        for rows, part in summed_shares(query, key, scale, grid.size, side, text):
            shares[:, rows] = part / heads
        if self._reference is None:
            self._waiting.append((layer, grid, shares))
        else:
            self._compare(layer, grid, shares)

    def refer(self, grid: MapGrid, features: Tensor) -> None:
        """Give the reference layer's features in this pass, (images, pixels, channels), any float dtype."""
        side = cell_side(grid.size, self._limit)
        images, pixels, channels = features.shape
        affinity = torch.empty(images, pixels, prod(cells(grid.size, side)), device=features.device)
        apart = features[:, None]
        for rows, part in summed_shares(apart, apart, channels**-0.5, grid.size, side):
            affinity[:, rows] = part
        self._reference = (grid, affinity)
        for layer, of_layer, shares in self._waiting:
            self._compare(layer, of_layer, shares)
        self._waiting.clear()

    def of(self, layers: Mapping[str, int]) -> dict[str, Tensor]:
        """Layer -> (images,) weights that sum to 1 over these layers. ``layers`` maps each to its number of heads, by
        which they count where no reference came by."""
        if not self._agreements:
            return {layer: torch.tensor([heads / sum(layers.values())]) for layer, heads in layers.items()}
        values = torch.stack([self._agreements[layer] for layer in layers]).clamp(min=0)
        return dict(zip(layers, values / values.sum(dim=0), strict=True))

    def _compare(self, layer: str, grid: MapGrid, shares: Tensor) -> None:
        assert self._reference is not None
        of_reference, affinity = self._reference
        size, images = of_reference.size, affinity.shape[0]
        side, own = cell_side(size, self._limit), cell_side(grid.size, self._limit)
        nearest = _nearest_rows(grid.size, size).to(shares.device)
        area = by_cell(torch.ones(1, prod(grid.size), device=shares.device), grid.size, own, summed=True)
        agreement = torch.zeros(images, device=affinity.device)
        step = max(1, _CHUNK // (images * prod(size)))
        for start in range(0, prod(size), step):
            rows = slice(start, start + step)
            columns = shares[:, nearest[rows]] / area  # the mean share of a pixel in each cell
            if size != grid.size:
                planes = columns.unflatten(-1, cells(grid.size, own))
                enlarged = functional.interpolate(planes, size, mode="bilinear", align_corners=False)
                columns = by_cell(enlarged.flatten(2), size, side, summed=False)
            agreement += (affinity[:, rows] * columns.to(affinity.device)).sum(dim=(1, 2))
        self._agreements[layer] = self._agreements.get(layer, torch.zeros_like(agreement)) + agreement


def _nearest_rows(grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """For each pixel of ``size`` the number of the nearest one of ``grid``."""
    numbers = torch.arange(prod(grid), dtype=torch.float64).reshape(1, 1, *grid)
    return functional.interpolate(numbers, size, mode="nearest").flatten().long()
