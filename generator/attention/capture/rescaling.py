"""Rescaling of the words' maps (GoCA, Meng et al. 2026, "per-pixel rescaling").

A pixel gives most of its attention to the start token, how much differs from pixel to pixel, and some words get more
than others everywhere. So of each pixel the shares of the words are made to sum to 1; a class has the mean over its
words; its map is smoothed by a Gaussian of 5 x 5 pixels, as in the published code, and its range brought to [0, 1].

Knows tensors, neither models nor words.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: Least divisor: what is smaller is no signal.
_NOTHING = 1e-30

#: The Gaussian's reach in pixels, and its deviation: what is usual for 5 pixels (0.3 * (reach - 1) + 0.8).
_REACH, _DEVIATION = 2, 1.1


def shares_of_words(shares: Tensor, groups: Tensor) -> Tensor:
    """The shares of words, (words, h, w), made to sum to 1 in each pixel within each group; below 0 they count as 0.

    ``groups`` is (groups, words), 1 where a word is in a group, else 0.
    """
    positive = shares.clamp(min=0)
    totals = (groups.T @ (groups @ positive.flatten(1))).reshape(shares.shape)
    return positive / totals.clamp(min=_NOTHING)


def smoothed(maps: Tensor) -> Tensor:
    """Maps, (classes, h, w), smoothed by the Gaussian; beyond an edge a map is mirrored, or repeated where it is too
    small for that."""
    offsets = torch.arange(-_REACH, _REACH + 1, device=maps.device, dtype=maps.dtype)
    weights = (-0.5 * (offsets / _DEVIATION) ** 2).exp()
    kernel = torch.outer(weights, weights) / weights.sum() ** 2
    mode = "reflect" if min(maps.shape[-2:]) > _REACH else "replicate"
    padded = functional.pad(maps[:, None], (_REACH,) * 4, mode=mode)
    return functional.conv2d(padded, kernel[None, None])[:, 0]


def stretched(maps: Tensor) -> Tensor:
    """Maps, (classes, h, w), each with its range brought to [0, 1]; one that is the same everywhere is 0."""
    lowest = maps.amin(dim=(1, 2), keepdim=True)
    spread = maps.amax(dim=(1, 2), keepdim=True) - lowest
    return (maps - lowest) / spread.clamp(min=_NOTHING)
