"""The stream of concepts beside a model's own: what all families share.

In every block concepts are processed as words are, with the block's own weights, and attend to each other and to the
image, which does not attend to them. They have no order: each stands where the first word of the text stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.processor import Rotary, turned


@dataclass(frozen=True)
class Observed:
    """What one attention layer did with the tokens of its own in one call, for the rows of the images.

    Attributes:
        states: (images, tokens, channels), what the layer was given.
        output: (images, tokens, heads * width), what its heads made, side by side, before the output projection.
        key, value: (images, tokens, heads * width), the projections; None where the layer does not make them apart.
    """

    states: Tensor
    output: Tensor
    key: Tensor | None
    value: Tensor | None

    def of(self, tokens: slice) -> Observed:
        """What it did with some of its tokens."""
        key, value = (None if each is None else each[:, tokens] for each in (self.key, self.value))
        return Observed(self.states[:, tokens], self.output[:, tokens], key, value)


class ConceptStream(ABC):
    """The concepts' stream of one pipeline's model.

    Attributes:
        blocks: the blocks that it passes, in their order.
        parts: the text encoders' shares of what the model reads.
    """

    def __init__(self, pipe: Any, model: Any, blocks: Sequence[Any], parts: Sequence[TextPart]) -> None:
        self.pipe, self.model, self.blocks, self.parts = pipe, model, list(blocks), list(parts)

    @abstractmethod
    def encoded(self, concepts: Sequence[str]) -> Tensor:
        """(concepts, ...): each concept's states as the pipeline's text encoder gives them, apart from the others.

        Raises:
            ModelError: a pipeline that was left without that encoder.
        """

    @abstractmethod
    def begin(self, words: Tensor, arguments: Mapping[str, Any], rows: slice) -> Tensor:
        """The concepts before the first block, (images, concepts, channels).

        Args:
            words: as ``encoded`` gave them.
            arguments: those of the model's call.
            rows: which of its rows are the images'.
        """

    @abstractmethod
    def step(
        self, block: Any, arguments: Mapping[str, Any], states: Tensor, seen: Observed
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The concepts after a block, and the attention outputs of concepts and image in it.

        Args:
            block: one of ``blocks``.
            arguments: those of the block's call.
            states: the concepts before it.
            seen: what its attention layer did.

        Returns:
            (images, concepts, channels); (images, concepts, heads * width); (images, pixels, heads * width), where the
            painted image's pixels come first.
        """

    def attention(self, block: Any) -> Any:
        """A block's attention layer, of image and text."""
        return block.attn


def heads(attn: Any, projected: Tensor) -> Tensor:
    """(rows, heads, n, width) of (rows, n, heads * width)."""
    return projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def normed(norm: Callable[[Tensor], Tensor] | None, states: Tensor) -> Tensor:
    """States by heads, normalised where the layer does that."""
    return states if norm is None else norm(states)


def image_keys(attn: Any, seen: Observed, rotary: Rotary | None) -> tuple[Tensor, Tensor]:
    """The keys and values of an image's tokens, (images, heads, tokens, width), with their positions."""
    key = attn.to_k(seen.states) if seen.key is None else seen.key
    value = attn.to_v(seen.states) if seen.value is None else seen.value
    key = normed(attn.norm_k, heads(attn, key))
    return key if rotary is None else turned(key, rotary), heads(attn, value)


def attended(query: Tensor, own: tuple[Tensor, Tensor], image: tuple[Tensor, Tensor]) -> Tensor:
    """(images, concepts, heads * width): the attention output of concepts over themselves and the image.

    Args:
        query: (images, heads, concepts, width).
        own, image: keys and values of both.
    """
    key, value = (torch.cat(pair, dim=2) for pair in zip(own, image, strict=True))
    return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def attended_jointly(
    attn: Any, concepts: Tensor, seen: Observed, of_image: Rotary | None = None, of_concepts: Rotary | None = None
) -> Tensor:
    """The same in a layer that has projections of its own for text, of (images, concepts, channels) normalised states.

    ``of_image`` and ``of_concepts`` are the rotary embeddings of both; None where there is none, or where it changes
    nothing.
    """
    query = normed(attn.norm_added_q, heads(attn, attn.add_q_proj(concepts)))
    key = normed(attn.norm_added_k, heads(attn, attn.add_k_proj(concepts)))
    if of_concepts is not None:
        query, key = turned(query, of_concepts), turned(key, of_concepts)
    own = key, heads(attn, attn.add_v_proj(concepts))
    return attended(query, own, image_keys(attn, seen, of_image))
