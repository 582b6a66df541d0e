"""The head: features of a frozen model become objects at each place of a grid.

Anchor-free, as FCOS (Tian et al. 2019): each place says which class it is the middle of, how far the box reaches and
how central it lies. Masks are dynamic, as in CondInst (Tian et al. 2020): a place's own small network of two layers
reads mask features that all share, and where each pixel lies from that place. Knows tensors only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Mask features, and hidden features of a place's own network.
MASK_FEATURES, HIDDEN = 8, 8
_PARAMETERS = HIDDEN * (MASK_FEATURES + 2) + HIDDEN + HIDDEN + 1

#: The chance of any class at a place before anything is learned.
_RARE = 0.01


class Predictions(NamedTuple):
    """Of N images on a grid of G x G places; all that is relative is a share of the image's side.

    ``classes`` (N, K, G, G) and ``central`` (N, G, G) are logits; ``boxes`` (N, 4, G, G) left, top, right, bottom;
    ``networks`` (N, P, G, G) the parameters of each place's mask network, ``masks`` (N, F, 2G, 2G) what they read.
    """

    classes: Tensor
    boxes: Tensor
    central: Tensor
    networks: Tensor
    masks: Tensor


class DetectionHead(nn.Module):
    """Features and pixels -> ``Predictions``.

    Args:
        channels: of each block's features, the coarser ones first.
        classes: how many.
        width: channels within, a multiple of 8.
        finest: side of the finest features; the grid is twice as fine.
    """

    def __init__(self, channels: Sequence[int], classes: int, width: int, finest: int) -> None:
        super().__init__()
        self.grid = 2 * finest
        self.lateral = nn.ModuleList([nn.Conv2d(each, width, 1) for each in channels])
        for index, each in enumerate(channels):  # set by ``standardise``
            self.register_buffer(f"mean{index}", torch.zeros(each))
            self.register_buffer(f"scale{index}", torch.ones(each))
        self.pixels = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU())
        self.down = nn.Conv2d(16, width, 3, 2, 1)
        self.merge = nn.Sequential(_layer(width), _layer(width))
        self.of_class, self.of_box = (nn.Sequential(_layer(width), _layer(width)) for _ in range(2))
        self.classes = nn.Conv2d(width, classes, 3, 1, 1)
        self.boxes = nn.Conv2d(width, 4, 3, 1, 1)
        self.central = nn.Conv2d(width, 1, 3, 1, 1)
        self.networks = nn.Conv2d(width, _PARAMETERS, 3, 1, 1)
        self.masks = nn.Sequential(nn.Conv2d(width + 16, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, MASK_FEATURES, 1))
        nn.init.constant_(self.classes.bias, -math.log((1 - _RARE) / _RARE))  # type: ignore[arg-type]
        nn.init.normal_(self.networks.weight, std=0.01)

    def standardise(self, features: Sequence[Tensor]) -> None:
        """Take over mean and spread of each channel from features of some images."""
        for index, each in enumerate(features):
            getattr(self, f"mean{index}").copy_(each.mean((0, 2, 3)))
            getattr(self, f"scale{index}").copy_(1 / (each.std((0, 2, 3)) + 1e-4))

    def forward(self, features: Sequence[Tensor], pixels: Tensor) -> Predictions:
        """``pixels`` are (N, 3, 2G, 2G) in [-1, 1]."""
        size = (self.grid, self.grid)
        fine = self.pixels(pixels)
        plane = self.down(fine)
        for index, (each, lateral) in enumerate(zip(features, self.lateral, strict=True)):
            mean, scale = getattr(self, f"mean{index}"), getattr(self, f"scale{index}")
            standard = (each - mean[:, None, None]) * scale[:, None, None]
            plane = plane + functional.interpolate(lateral(standard), size, mode="bilinear", align_corners=False)
        plane = self.merge(functional.relu(plane))
        classes, boxes = self.of_class(plane), self.of_box(plane)
        large = functional.interpolate(plane, scale_factor=2.0, mode="bilinear", align_corners=False)
        return Predictions(
            self.classes(classes),
            functional.softplus(self.boxes(boxes)) * 0.25,
            self.central(boxes)[:, 0],
            self.networks(boxes),
            self.masks(torch.cat([large, fine], 1)),
        )


def places(grid: int, like: Tensor) -> Tensor:
    """(G * G, 2) x and y of the middles of a grid's places, row by row, as shares of the side."""
    middles = (torch.arange(grid, device=like.device, dtype=like.dtype) + 0.5) / grid
    rows, columns = torch.meshgrid(middles, middles, indexing="ij")
    return torch.stack([columns, rows], -1).reshape(-1, 2)


def corners(boxes: Tensor, middles: Tensor) -> Tensor:
    """(n, 4) distances left, top, right and bottom of (n, 2) middles -> x0, y0, x1, y1."""
    return torch.cat([middles - boxes[:, :2], middles + boxes[:, 2:]], 1)


def mask_logits(networks: Tensor, masks: Tensor, middles: Tensor) -> Tensor:
    """(n, H, W) logits of the masks of n places of one image.

    Args:
        networks: (n, P) their parameters.
        masks: (F, H, W) the image's mask features.
        middles: (n, 2) where the places are.
    """
    count, (_, height, width) = len(networks), masks.shape
    first, bias, second, last = networks.split([HIDDEN * (MASK_FEATURES + 2), HIDDEN, HIDDEN, 1], 1)
    own = places(height, masks).reshape(height, width, 2) if height == width else masks.new_zeros(height, width, 2)
    away = (own[None] - middles[:, None, None]).permute(0, 3, 1, 2) * 4
    read = torch.cat([masks[None].expand(count, -1, -1, -1), away], 1).flatten(2)
    hidden = functional.relu(torch.bmm(first.reshape(count, HIDDEN, -1), read) + bias[:, :, None])
    return (torch.bmm(second[:, None], hidden)[:, 0] + last).reshape(count, height, width)


def _layer(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.GroupNorm(8, width), nn.ReLU())
