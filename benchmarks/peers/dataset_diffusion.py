"""Dataset Diffusion's maps and masks, as a peer to compare with. Not part of the library.

Written from a description of Nguyen et al. 2023, "Dataset Diffusion" (NeurIPS): the prompt is the caption, "; " and the
class names; a separate prompt of the class names alone is attributed, by its keys and the queries of the
conditional rows. C is the mean cross-attention at a fourth of the latent's side, S the mean self-attention at half of
it, its rows summing to 1. Refined maps are S^4 C, C brought to S's size before; min-max by class, bicubic to the
image; the highest class where it reaches 0.6, open (255) from 0.5, background below.

A latent of 16 x 16 in a model with attention at 16 and 8 pixels a side has no such sizes: which ones stand in for them
is the caller's choice. Self-training of a segmenter on the masks is not part of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peers.daam import enlarged, min_max
from peers.explicit_attention import attended, square
from torch import Tensor
from torch.nn import functional

POWER = 4
SURE, OPEN = 0.6, 0.5
IGNORE = 255


class DatasetDiffusion:
    """Watches cross- and self-attention of one batch of ``images``.

    ``cross_side`` and ``self_side`` are the sides in pixels of the layers that are read.
    """

    def __init__(self, images: int, cross_side: int, self_side: int) -> None:
        self._images, self._cross_side, self._self_side = images, cross_side, self_side
        self._queries: dict[str, list[Tensor]] = defaultdict(list)
        self._among: list[Tensor] = []

    def __call__(self, layer: str, query: Tensor, shares: Tensor) -> None:
        pixels = query.shape[2]
        if layer.endswith("attn2.processor"):
            if pixels == self._cross_side**2:
                self._queries[layer].append(query[-self._images :])
        elif pixels == self._self_side**2:
            self._among.append(shares[-self._images :].float().mean(dim=1))

    @torch.inference_mode()
    def maps(
        self, unet: Any, texts: Tensor, positions: Sequence[Mapping[str, Sequence[int]]], power: int = POWER
    ) -> list[dict[str, NDArray[np.float32]]]:
        """Per image class -> (self_side, self_side).

        Args:
            texts: (images, tokens, channels), each image's encoded class prompt.
            positions: per image class -> where its tokens are in that prompt.
            power: how often S is applied.
        """
        crosses = [
            attended(unet, layer, query, texts).float().mean(dim=1)
            for layer, steps in self._queries.items()
            for query in steps
        ]
        cross = square(torch.stack(crosses).mean(dim=0).transpose(1, 2))
        cross = functional.interpolate(cross, (self._self_side, self._self_side), mode="bilinear").flatten(2)
        among = torch.stack(self._among).mean(dim=0)
        among = among / among.sum(dim=-1, keepdim=True)
        refined = square((torch.matrix_power(among, power) @ cross.transpose(1, 2)).transpose(1, 2))
        return [
            {label: tokens[list(places)].mean(dim=0).cpu().numpy() for label, places in own.items()}
            for tokens, own in zip(refined, positions, strict=True)
        ]


def semantic(maps: Mapping[str, NDArray[np.float32]], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width) uint8: 0 background, 1 + the index of the class in ``maps``, 255 where it is left open."""
    heat = np.stack([enlarged(min_max(each), shape) for each in maps.values()])
    highest = heat.max(axis=0)
    found = (1 + heat.argmax(axis=0)).astype(np.uint8)
    found[highest < SURE] = IGNORE
    found[highest < OPEN] = 0
    return found


def masks(maps: Mapping[str, NDArray[np.float32]], shape: tuple[int, int]) -> dict[str, NDArray[np.bool_]]:
    """Class -> (height, width) bool; pixels left open belong to none."""
    found = semantic(maps, shape)
    return {label: found == 1 + index for index, label in enumerate(maps)}
