"""OVAM's open-vocabulary maps and masks, as a peer to compare with. Not part of the library.

Written from a description of Marcos-Manchon et al. 2024, "Open-Vocabulary Attention Maps with Token Optimization": the
queries of each cross-attention of the down and up blocks are kept at every step; afterwards they attend to the keys
of an attribution text, whatever the prompt was, with the softmax over that text's tokens; bilinear to the latent's
size, sums over steps, heads and layers; the mean over a class's tokens; min-max, threshold 0.4.

Left out: dense CRF after the threshold, which needs an unmaintained package, and the product with self-attention,
which in the original is the same number for every pixel up to rounding and so changes nothing. Kept: every class is
cut by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from peers.explicit_attention import attended, square
from torch import Tensor
from torch.nn import functional

THRESHOLD = 0.4


class Ovam:
    """Keeps the queries of one batch of ``images``, whose latents have ``side`` x ``side`` pixels."""

    def __init__(self, images: int, side: int) -> None:
        self._images, self._side = images, side
        self._queries: dict[str, list[Tensor]] = defaultdict(list)

    def __call__(self, layer: str, query: Tensor, shares: Tensor) -> None:
        self._queries[layer].append(query[-self._images :])

    @torch.inference_mode()
    def maps(self, unet: Any, text: Tensor, positions: Mapping[str, Sequence[int]]) -> list[dict[str, NDArray[Any]]]:
        """Per image class -> (side, side) float32.

        Args:
            unet: the model that was watched.
            text: (tokens, channels), the encoded attribution text.
            positions: class -> where its own tokens are in that text.
        """
        total = torch.zeros(self._images, len(text), self._side, self._side, device=text.device)
        for layer, steps in self._queries.items():
            for query in steps:
                shares = attended(unet, layer, query, text.expand(self._images, -1, -1)).float().sum(dim=1)
                total += functional.interpolate(
                    square(shares.transpose(1, 2)), (self._side, self._side), mode="bilinear"
                )
        return [
            {label: tokens[list(places)].mean(dim=0).cpu().numpy() for label, places in positions.items()}
            for tokens in total
        ]
