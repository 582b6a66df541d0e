"""DAAM's maps and the masks its paper cuts from them, as a peer to compare with. Not part of the library.

Written from a description of Tang et al. 2022, "What the DAAM": the cross-attention of the UNet's down and up blocks,
its softmax in the open, conditional half of the batch only, summed over the steps by layer and head for all tokens;
maps of an eighth of the latent's side left out; each enlarged bicubically to the latent's size and clamped at 0, then
the mean over layers and heads. A word is the mean over its tokens and mentions. Brought to the image bicubically,
min-max, threshold 0.4. Faults that are kept: square images only, and every class cut by itself, so that two may
hold one pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from peers.explicit_attention import square
from torch import Tensor
from torch.nn import functional

THRESHOLD = 0.4


class Daam:
    """Watches the cross-attention of one batch of ``images``, whose latents have ``side`` x ``side`` pixels."""

    def __init__(self, images: int, side: int) -> None:
        self._images, self._side = images, side
        self._sums: dict[str, Tensor] = {}

    def __call__(self, layer: str, query: Tensor, shares: Tensor) -> None:
        if self._side**2 >= 64 * shares.shape[2]:
            return
        # A sum of its own even at first: a view would keep the unconditional half alive.
        self._sums[layer] = self._sums.get(layer, 0) + shares[-self._images :].float()

    @torch.inference_mode()
    def all_maps(self) -> Tensor:
        """(images, tokens, side, side), a map for each token of the context."""
        total, count = None, 0
        for sums in self._sums.values():
            for head in square(sums.transpose(-1, -2)).unbind(1):
                enlarged = functional.interpolate(head, (self._side, self._side), mode="bicubic").clamp_(min=0)
                total, count = enlarged if total is None else total.add_(enlarged), count + 1
        if total is None:
            raise RuntimeError("no layer was watched")
        return total / count

    @torch.inference_mode()
    def maps(self, positions: Sequence[Mapping[str, Sequence[int]]]) -> list[dict[str, NDArray[np.float32]]]:
        """Per image class -> (side, side), from the positions of the class's tokens in the prompt."""
        return [
            {label: tokens[list(places)].mean(dim=0).cpu().numpy() for label, places in own.items()}
            for tokens, own in zip(self.all_maps(), positions, strict=True)
        ]


def masks(
    maps: Mapping[str, NDArray[np.float32]], shape: tuple[int, int], threshold: float = THRESHOLD
) -> dict[str, NDArray[np.bool_]]:
    """Class -> (height, width) bool, each class by itself."""
    return {label: min_max(enlarged(heat, shape)) > threshold for label, heat in maps.items()}


def enlarged(heat: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(heat, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def min_max(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = float(heat.min()), float(heat.max())
    return (heat - low) / (high - low) if high > low else np.zeros_like(heat)
