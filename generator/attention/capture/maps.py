"""From queries and keys to class maps: sums of attention on the device, then one map per class.

Knows tensors and token positions, neither models nor words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diffucurate.generator.attention.capture.rescaling import shares_of_words, smoothed, stretched
from diffucurate.generator.attention.capture.token_competition import Contenders, contenders_of, contested
from diffucurate.generator.attention.capture.tokens import PromptTokens, joined
from diffucurate.generator.attention.settings import TraceSettings

#: Least divisor: smaller means are no signal.
_FLAT = 1e-12

#: Attention probabilities held at once, in numbers (64 MiB of float32).
_CHUNK = 2**24


@dataclass(frozen=True)
class MapGrid:
    """The maps of one layer: ``factor`` times coarser than the latent, (height, width) in ``size``."""

    factor: int
    size: tuple[int, int]


@dataclass
class _Sum:
    """Attention added up over passes, and over layers where their maps may be mixed at once.

    ``total`` is (images, readings, pixels), or (images, heads, readings, pixels) where each head's map has
    to stay apart until it is enlarged or weighed; ``heads`` maps each layer in it to its number of heads.
    """

    grid: MapGrid
    total: Tensor
    heads: dict[str, int]


class AttentionAccumulator:
    """Adds up the attention of one batch of images and turns it into class maps.

    What is read of a layer are *readings*: the mean over a class's tokens right away, since sums and bilinear
    enlarging are linear; single tokens and heads where the settings ask for bicubic enlarging, whose clamp at 0
    is not; all words where their shares are rescaled.
    """

    def __init__(
        self, groups: Sequence[Sequence[PromptTokens]], lengths: Sequence[int], settings: TraceSettings
    ) -> None:
        """``groups``: the tokens that share each pixel's attention among themselves, one entry per image; usually one
        group, the context. ``lengths``: the number of tokens of each group, which follow each other."""
        self._groups, self._lengths, self._settings = [list(group) for group in groups], list(lengths), settings
        starts = list(accumulate(self._lengths, initial=0))
        #: Per image, all groups' tokens as the keys are counted.
        self._prompts = [joined(zip(starts, prompts, strict=False)) for prompts in zip(*self._groups, strict=True)]
        self._apart = settings.upsampling == "bicubic"
        self._by_head = self._apart or settings.heads == "sharp"
        self._by_layer = self._by_head or settings.layers is not None
        #: Per image the words of each group.
        self._words = [
            [
                [start + position for position in contested(prompt, length)]
                for start, prompt, length in zip(starts, prompts, self._lengths, strict=False)
            ]
            for prompts in zip(*self._groups, strict=True)
        ]
        self._readings = [self._read(*each) for each in zip(self._prompts, self._words, strict=True)]
        self._sums: dict[object, _Sum] = {}
        self._contenders: dict[torch.device, Contenders] = {}

    def _read(self, prompt: PromptTokens, words: list[list[int]]) -> list[tuple[int, ...]]:
        """The readings of one image: the positions of the tokens whose mean each one is."""
        if self._settings.rescale:
            return [(position,) for position in sorted({p for group in words for p in group})]
        if self._apart:
            return [(position,) for position in sorted({p for positions in prompt.classes.values() for p in positions})]
        return list(prompt.classes.values())

    @property
    def wanted(self) -> bool:
        """Whether any image mentions any class."""
        return any(self._readings)

    @property
    def empty(self) -> bool:
        """Whether nothing was added yet."""
        return not self._sums

    def clear(self) -> None:
        """Forget what was added."""
        self._sums.clear()

    @property
    def layers(self) -> dict[str, int]:
        """The layers that were added, and the number of heads of each."""
        return {layer: heads for entry in self._sums.values() for layer, heads in entry.heads.items()}

    def add(
        self,
        layer: str,
        grid: MapGrid,
        query: Tensor,
        key: Tensor,
        mask: Tensor | None,
        scale: float,
        rivals: Tensor | None = None,
        by_head: Tensor | None = None,
    ) -> None:
        """Add one layer's attention of one pass.

        Args:
            layer: a name of the layer.
            grid: what its maps are.
            query: (images, heads, pixels, channels), any float dtype; the softmax is taken in float32. With
                ``rivals``, which make it long, shares are then rounded to the query's dtype, head by head.
            key: (images, heads, tokens, channels).
            mask: added to the scores, (images, 1, tokens), or None.
            scale: the factor of the product of query and key.
            rivals: (images, heads, others, channels), keys of tokens that take part in every softmax and belong
                to no class, or None.
            by_head: (images, heads, pixels), how much each head counts, 1 over all heads; None if all count the same.
        """
        images, heads, pixels, _ = query.shape
        contenders = self._on(query.device)
        key, mask = contenders.of(key, 2), None if mask is None else contenders.of(mask, 2)
        place: object = layer if self._by_layer else grid
        if place not in self._sums:
            shape = (images, *([heads] if self._by_head else []), contenders.readout.shape[2], pixels)
            self._sums[place] = _Sum(grid, torch.zeros(shape, device=query.device), {})
        entry = self._sums[place]
        entry.heads[layer] = heads
        if self._settings.linear:
            # The mean over a class's tokens may as well be taken of their keys.
            means = contenders.readout.transpose(1, 2)[:, None] @ key.float()
            products = (query.float() * scale) @ means.transpose(2, 3)
            entry.total += (products if self._by_head else products.sum(dim=1)).transpose(-1, -2)
            return
        if rivals is not None:
            key, contenders = torch.cat([key, rivals], dim=2), contenders.with_rivals(rivals.shape[2])
            mask = None if mask is None else functional.pad(mask, (0, rivals.shape[2]))
            if not self._by_head and by_head is None:
                barred = None if self._settings.contest == "all" else contenders.barred
                entry.total += _fused(query, key, contenders.readout, _barring(barred, mask), scale)
                return
        keys, readout = key.float() * scale, contenders.readout.transpose(1, 2)
        step = max(1, _CHUNK // (images * heads * key.shape[2]))
        for start in range(0, pixels, step):
            chunk = slice(start, start + step)
            # The product in float32 too: in half precision the scores would be rounded more coarsely than in
            # the fused attention that made the image. Pixels come last, for a softmax along a few tokens is slow.
            scores = keys @ query[:, :, chunk].float().transpose(2, 3)
            if mask is not None:
                scores += mask[..., None].float()
            shares = contenders.softmax(scores)
            if by_head is not None:
                shares = shares * (heads * by_head[:, :, None, chunk])
            entry.total[..., chunk] += readout[:, None] @ shares if self._by_head else readout @ shares.sum(dim=1)

    def combine(
        self, passes: int, by_layer: Mapping[str, Tensor] | None = None
    ) -> list[dict[str, NDArray[np.float32]]]:
        """One mapping class -> (height, width) float32 >= 0 per image, of the size of the finest maps read.

        ``passes`` is how many passes through the model were added, ``by_layer`` how much each of ``layers`` counts in
        each image, (images,), 1 over all layers; by default they count by their number of heads.
        """
        if not self.wanted:
            return [{} for _ in self._prompts]
        maps = self.mean(passes, by_layer).detach()
        if self._settings.rescale:
            return [self._rescaled(index, readings) for index, readings in enumerate(maps)]
        return [self._classes(index, readings) for index, readings in enumerate(maps.cpu().numpy())]

    def mean(self, passes: int, by_layer: Mapping[str, Tensor] | None = None) -> Tensor:
        """(images, readings, height, width): the maps on their device, with the gradients of the keys where these have
        any. Without bicubic enlarging and rescaling an image's readings are its classes, in order; rows beyond them are
        0."""
        maps = self._mixed(by_layer)
        if self._settings.linear:
            maps = maps - maps.amin(dim=(2, 3), keepdim=True)
        return maps / passes if self._settings.average_steps else maps

    def _mixed(self, by_layer: Mapping[str, Tensor] | None = None) -> Tensor:
        """(images, readings, height, width): what was added up, put together at the size of the finest maps."""
        size = max((entry.grid.size for entry in self._sums.values()), key=prod)
        parts = [self._coefficient(entry, by_layer) * self._enlarged(entry, size) for entry in self._sums.values()]
        return torch.stack(parts).sum(dim=0)

    def _rescaled(self, index: int, readings: Tensor) -> dict[str, NDArray[np.float32]]:
        """An image's maps from those of its words, (readings, height, width)."""
        classes = self._prompts[index].classes
        if not classes:
            return {}
        places = {positions[0]: number for number, positions in enumerate(self._readings[index])}
        groups = torch.zeros(len(self._words[index]), readings.shape[0], device=readings.device)
        for group, words in zip(groups, self._words[index], strict=True):
            group[[places[position] for position in words]] = 1
        shares = shares_of_words(readings, groups)
        means = [shares[[places[p] for p in positions]].mean(dim=0) for positions in classes.values()]
        heat = stretched(smoothed(torch.stack(means))).cpu().numpy()
        return dict(zip(classes, heat, strict=True))

    def _classes(self, index: int, readings: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        places = {reading: number for number, reading in enumerate(self._readings[index])}
        classes = self._prompts[index].classes
        if not self._apart:
            return {label: readings[places[positions]] for label, positions in classes.items()}
        return {label: readings[[places[(p,)] for p in positions]].mean(axis=0) for label, positions in classes.items()}

    def _coefficient(self, entry: _Sum, by_layer: Mapping[str, Tensor] | None = None) -> float | Tensor:
        """The weight of a sum in the mean over layers and heads, or over sizes if these have weights."""
        if by_layer is not None:
            ((layer, heads),) = entry.heads.items()
            return by_layer[layer].to(entry.total.device)[:, None, None, None] / heads
        weights = self._settings.weights
        alike = [other for other in self._sums.values() if weights is None or other.grid == entry.grid]
        share: float | Tensor = 1 / sum(heads for other in alike for heads in other.heads.values())
        if self._settings.heads == "sharp":
            weighed = torch.stack([_sharpness(other.total).sum(dim=1) for other in alike]).sum(dim=0)
            share = 1 / weighed.clamp(min=_FLAT)[..., None, None]
        if weights is None:
            return share
        return share * weights[entry.grid.factor] / sum(weights[grid.factor] for grid in self._grids())

    def _grids(self) -> set[MapGrid]:
        return {entry.grid for entry in self._sums.values()}

    def _enlarged(self, entry: _Sum, size: tuple[int, int]) -> Tensor:
        """(images, readings, height, width): the sum over the entry's heads, brought to ``size``."""
        maps = entry.total.unflatten(-1, entry.grid.size)
        if self._settings.heads == "sharp":
            maps = maps * _sharpness(entry.total)[..., None, None]
        if not self._apart:
            maps = maps.sum(dim=1) if self._by_head else maps
            return functional.interpolate(maps, size, mode="bilinear", align_corners=False)
        enlarged = functional.interpolate(maps.flatten(0, 1), size, mode="bicubic", align_corners=False)
        enlarged = enlarged if self._settings.linear else enlarged.clamp_(min=0)
        return enlarged.unflatten(0, maps.shape[:2]).sum(dim=1)

    def _on(self, device: torch.device) -> Contenders:
        if device not in self._contenders:
            contenders = contenders_of(self._groups, self._lengths, self._readings, self._settings.contest)
            self._contenders[device] = contenders.to(device)
        return self._contenders[device]


def _sharpness(maps: Tensor) -> Tensor:
    """(images, heads, readings): how far each map of (..., pixels) is from flat: its deviation, a share of its mean."""
    return maps.std(dim=-1) / maps.mean(dim=-1).clamp(min=_FLAT)


def _barring(barred: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """(images, 1, 1, tokens), the mask of fused attention: of the tokens that are barred, and one added to scores."""
    if mask is None:
        return None if barred is None else ~barred
    added = mask[:, None]
    return added if barred is None else added.masked_fill(barred, -torch.inf)


def _fused(query: Tensor, key: Tensor, readout: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """(images, readings, pixels): the attention of pixels to each reading, heads added up, by fused attention.

    Its values are the readout, filled up to the width that the kernels want, so that no softmax is ever held: over
    thousands of tokens, as where image and text are one sequence, that would cost more than the layer itself.
    """
    width, heads = query.shape[-1], query.shape[1]
    read = []
    mask = mask if mask is None or mask.dtype == torch.bool else mask.to(query.dtype)
    for columns in readout.to(query.dtype).split(width, dim=-1):
        values = functional.pad(columns, (0, width - columns.shape[-1]))[:, None].expand(-1, heads, -1, -1)
        output = functional.scaled_dot_product_attention(query, key, values, attn_mask=mask, scale=scale)
        read.append(output[..., : columns.shape[-1]].float().sum(dim=1).transpose(1, 2))
    return torch.cat(read, dim=1)
