"""What is added to the scores of attention so that pixels keep to a layout: -inf where nothing may be attended to."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.labels.model import IGNORE


def word_bias(
    layout: Layout, prompt: PromptTokens, tokens: int, size: tuple[int, int], boost: float, *, shared: bool
) -> Tensor:
    """(cells, tokens), of pixels to words.

    Args:
        layout: where each class is to be.
        prompt: where the words of the classes are; a class that it does not name has pixels of no class.
        tokens: of the context.
        size: (height, width) in cells.
        boost: how many times as much a pixel attends to the words of its class.
        shared: whether pixels of a class see the words that name no class.
    """
    cells = torch.from_numpy(layout.at(size)).flatten()
    bias, owned, content = torch.zeros(len(cells), tokens), _flags(tokens), _flags(tokens, prompt.content)
    for label, positions in prompt.classes.items():
        if label in layout.classes:
            owned |= _flags(tokens, positions)
    bias[cells != IGNORE] = torch.zeros(tokens).masked_fill(owned, -torch.inf)
    for index, label in enumerate(layout.classes):
        if label not in prompt.classes:
            continue
        own = _flags(tokens, prompt.classes[label])
        hidden = owned if shared else owned | content
        bias[cells == 1 + index] = (
            torch.zeros(tokens).masked_fill(hidden & ~own, -torch.inf).masked_fill(own, math.log(boost))
        )
    return bias


def border_bias(layout: Layout, size: tuple[int, int]) -> Tensor:
    """(cells, cells), of pixels to pixels: none attends to those of another class."""
    cells = torch.from_numpy(layout.at(size)).flatten()
    return torch.zeros(len(cells), len(cells)).masked_fill(cells[:, None] != cells[None, :], -torch.inf)


def _flags(tokens: int, positions: tuple[int, ...] = ()) -> Tensor:
    flags = torch.zeros(tokens, dtype=torch.bool)
    flags[list(positions)] = True
    return flags
