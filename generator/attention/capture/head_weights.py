"""What each head of a layer contributes to the layer's output, pixel by pixel (GoCA, Meng et al. 2026, "auto
aggregation" over heads).

The heads' outputs o_h, side by side, pass the output projection W_O, so the layer's output y is the sum over heads of
o_h W_h, where W_h is the head's slice of W_O. The weight of a head at a pixel is <o_h W_h, y> / sum over heads of the
same. It may be negative, where a head works against the others; the sum is |y|^2. The projection's bias belongs to no
head and is left out.

Knows tensors, neither models nor words.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Least divisor: a layer whose output is 0 says nothing.
_NOTHING = 1e-30


def head_weights(outputs: Tensor, projection: Tensor, heads: int) -> Tensor:
    """(images, heads, pixels) float32 that sum to 1 over heads.

    Args:
        outputs: (images, pixels, heads * width), what the heads made, side by side, before the output projection.
        projection: (heads * width, channels) float32, W_O: the layer's output is ``outputs @ projection``.
        heads: how many there are.
    """
    outputs = outputs.float()
    # <o_h W_h, y> = <o_h, y W_h^T>: two products of all heads at once, whatever their number.
    back = (outputs @ projection) @ projection.T
    contributions = (outputs * back).unflatten(-1, (heads, -1)).sum(dim=-1).transpose(1, 2)
    return contributions / contributions.sum(dim=1, keepdim=True).clamp(min=_NOTHING)


@torch.no_grad()
def projection_of(module: Callable[[Tensor], Tensor], width: int, like: Tensor) -> Tensor:
    """(width, channels) float32: the matrix of a linear layer without its bias, with what adapters add to it, and
    however its weights are stored; found by what it makes of the unit vectors.

    ``like`` is a tensor of the dtype and device that it is called with.
    """
    unit = torch.eye(width, dtype=like.dtype, device=like.device)
    made: Tensor = module(torch.cat([unit, torch.zeros_like(unit[:1])])).float()
    return made[:-1] - made[-1]
