"""Learned tokens compete for each pixel in one softmax, after the mean over all layers and heads.

Words compete within each head, and the mean over the heads is the map. Learned tokens are scored by the linear
attention of OVAM (Marcos-Manchon et al. 2024): products of queries and keys, put together over heads, layers and
passes, and only then one softmax, over the classes and the rest. A head that does not distinguish two classes then adds
nothing to either, where a softmax of its own would add to both. The score is linear in the token, so its training has
one minimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.capture.maps import AttentionAccumulator
from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.attribution import Attribution, Group
from diffucurate.generator.errors import InvalidSetting, ModelError

#: Prefix of the name of a class's start token among the readings; no class name begins so.
_START = "\0start of "


@dataclass(frozen=True)
class TokenContest(Attribution):
    """Learned pairs to which a trace attributes pixels: ``AttentionTrace(pipe, attribution=TokenContest.of(...))``.

    A class's score is that of its class token less that of its start token, so that pairs learned apart can compete;
    the rest has the score 0. Maps are shares in [0, 1].

    Attributes:
        named: per prompt the classes that take part; empty where all classes do for all images.
    """

    products: ClassVar[bool] = True

    named: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, pairs: Mapping[str, Tensor], named: Sequence[Sequence[str]] = ()) -> TokenContest:
        """From class -> (2, channels) start token and class token.

        Raises:
            InvalidSetting: no pair, or one of another shape.
        """
        groups = []
        for label, pair in pairs.items():
            if pair.ndim != 2 or pair.shape[0] != 2:
                raise InvalidSetting(
                    f"tokens.{label}", tuple(pair.shape), "use (2, channels): start token and class token"
                )
            groups.append(Group(pair[None], (PromptTokens({label: (1,), _START + label: (0,)}, (0, 1)),)))
        return cls(tuple(groups), tuple(pairs), tuple(tuple(labels) for labels in named))

    def sums(self, images: int, settings: TraceSettings) -> ContestSums:
        if self.named and images % len(self.named):
            raise ModelError(f"the tokens are for {len(self.named)} prompts, which {images} images cannot be of")
        return ContestSums(self, images, settings)

    def absent(self, images: int) -> list[tuple[str, ...]]:
        return [
            tuple(label for label in self.classes if label not in self.taking_part(image, images))
            for image in range(images)
        ]

    def taking_part(self, image: int, images: int) -> tuple[str, ...]:
        """The classes that compete in one of so many images."""
        return self.named[image * len(self.named) // images] if self.named else self.classes


class ContestSums(AttentionAccumulator):
    """Adds up the products of pixels and tokens, and lets the classes compete."""

    def __init__(self, contest: TokenContest, images: int, settings: TraceSettings) -> None:
        linear = settings.changed(linear=True, upsampling="bilinear", heads=None, average_steps=True)
        groups = [[group.tokens[0]] * images for group in contest.groups]
        super().__init__(groups, [2] * len(groups), linear)
        self._contest, self._images = contest, images

    def scores(self, passes: int) -> Tensor:
        """(images, classes, height, width): the score of each class less that of the rest, with the gradients of the
        keys where these have any."""
        heads = sum(sum(entry.heads.values()) for entry in self._sums.values())
        readings = self._mixed() * heads / passes  # the sum over heads
        return readings[:, 0::2] - readings[:, 1::2]

    def combine(
        self, passes: int, by_layer: Mapping[str, Tensor] | None = None
    ) -> list[dict[str, NDArray[np.float32]]]:
        scores = self.scores(passes).detach().cpu()
        return [self._competed(image, scores[image]) for image in range(self._images)]

    def _competed(self, image: int, scores: Tensor) -> dict[str, NDArray[np.float32]]:
        labels = self._contest.taking_part(image, self._images)
        chosen = scores[[self._contest.classes.index(label) for label in labels]]
        shares = torch.cat([torch.zeros_like(scores[:1]), chosen]).softmax(dim=0)[1:]
        return {label: share.numpy() for label, share in zip(labels, shares, strict=True)}
