"""Which tokens share a pixel's attention, and how much of it each class gets.

A prompt's start token gets most of it, and its end and padding tokens much of the rest. Without these tokens in the
softmax, the shares of the words differ more clearly (``TraceSettings.contest``). Tokens that take part for no image of
the batch are left out of the computation: of a context of 77 tokens, a caption's words are about ten.

Knows tensors and token positions, neither models nor words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.settings import Contest


@dataclass(frozen=True)
class Contenders:
    """The tokens that share the attention of one batch's pixels.

    Attributes:
        places: which of all tokens they are, (images, tokens); None where it is all of them.
        lengths: how many each group has; a group's share each pixel's attention among themselves.
        barred: those that take no part for an image after all, (images, 1, 1, tokens).
        readout: (images, tokens, readings), whose columns take the mean over a reading's tokens.
    """

    places: Tensor | None
    lengths: tuple[int, ...]
    barred: Tensor
    readout: Tensor

    def to(self, device: torch.device) -> Contenders:
        places = None if self.places is None else self.places.to(device)
        return Contenders(places, self.lengths, self.barred.to(device), self.readout.to(device))

    def of(self, values: Tensor, dim: int) -> Tensor:
        """Those of (images, ...) ``values`` that belong to them, where ``dim`` counts all tokens."""
        if self.places is None:
            return values
        shape, whole = [1] * values.ndim, list(values.shape)
        shape[0], shape[dim] = self.places.shape
        whole[dim] = self.places.shape[1]
        return values.gather(dim, self.places.view(shape).expand(whole))

    def with_rivals(self, count: int) -> Contenders:
        """The same where ``count`` tokens that belong to no class follow the last group and share with it."""
        return replace(
            self,
            lengths=(*self.lengths[:-1], self.lengths[-1] + count),
            barred=functional.pad(self.barred, (0, count)),
            readout=functional.pad(self.readout, (0, 0, 0, count)),
        )

    def softmax(self, scores: Tensor) -> Tensor:
        """(images, heads, tokens, pixels) -> each token's share within its group; ``scores`` are overwritten."""
        scores.masked_fill_(self.barred.transpose(2, 3), -torch.inf)
        if len(self.lengths) == 1:
            return scores.softmax(dim=2)
        return torch.cat([group.softmax(dim=2) for group in scores.split(self.lengths, dim=2)], dim=2)


def contenders_of(
    groups: Sequence[Sequence[PromptTokens]],
    lengths: Sequence[int],
    readings: Sequence[Sequence[Sequence[int]]],
    rule: Contest | None,
) -> Contenders:
    """The tokens that take part for the images of a batch, on the CPU.

    Args:
        groups: the tokens that share each pixel's attention among themselves, one entry per image.
        lengths: the number of tokens of each group, which follow each other.
        readings: per image the positions of the tokens whose mean is read, counted through all groups.
        rule: which tokens take part.
    """
    readout = torch.zeros(len(readings), sum(lengths), max(map(len, readings)))
    for image, of_image in enumerate(readings):
        for number, positions in enumerate(of_image):
            readout[image, list(positions), number] = 1 / len(positions)
    places, bars, start = [], [], 0
    for group, length in zip(groups, lengths, strict=True):
        barred = torch.tensor([_barred(prompt, length, rule) for prompt in group])
        most = int((~barred).sum(dim=1).max())
        chosen = barred.argsort(dim=1, stable=True)[:, :most].sort(dim=1).values  # those that are barred come last
        bars.append(barred.gather(1, chosen))
        places.append(start + chosen)
        start += length
    kept = torch.cat(places, dim=1)
    return Contenders(
        places=None if kept.shape[1] == start else kept,
        lengths=tuple(each.shape[1] for each in places),
        barred=torch.cat(bars, dim=1)[:, None, None],
        readout=readout.take_along_dim(kept[..., None], 1),
    )


def contested(prompt: PromptTokens, length: int) -> list[int]:
    """The positions of a group's words: of all content, and of end and padding tokens too where a class is all there
    is; none where it holds no class."""
    if not prompt.classes:
        return []
    return [position for position, barred in enumerate(_barred(prompt, length, "content")) if not barred]


def _barred(prompt: PromptTokens, length: int, rule: Contest | None) -> list[bool]:
    content, starts = set(prompt.content), set(prompt.starts)
    if not prompt.classes:
        rule = "all"
    elif rule == "content" and any(len(positions) == len(content) for positions in prompt.classes.values()):
        rule = "no-start"  # a prompt of the class alone: without others its share would be 1 in every pixel
    return [
        rule != "all" and (position in starts or (rule == "content" and position not in content))
        for position in range(length)
    ]
