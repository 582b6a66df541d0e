"""The states of concepts, each encoded apart from the others: the mean over its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.encoders import Encoders, TextPart, mentions
from diffucurate.generator.errors import ModelError

#: Tokens of T5 that a concept may have.
_LONGEST = 64


@torch.no_grad()
def t5_states(tokenizer: Any, encoder: Any, concepts: Sequence[str]) -> Tensor:
    """(concepts, channels): the mean of T5's states over each concept's tokens, without the end token."""
    tokens = tokenizer(list(concepts), padding="max_length", max_length=_LONGEST, truncation=True, return_tensors="pt")
    states = encoder(tokens.input_ids.to(encoder.device))[0]
    content = (tokens.attention_mask.bool() & (tokens.input_ids != tokenizer.eos_token_id)).to(states)[..., None]
    return (states * content).sum(dim=1) / content.sum(dim=1)


def content_means(parts: Sequence[TextPart], concepts: Sequence[str], states: Tensor) -> Tensor:
    """(concepts, channels): the mean over each concept's own tokens, not those of a template around it.

    Args:
        parts: the text encoders' shares of the context.
        concepts: the texts that were encoded.
        states: (concepts, tokens, channels), as the pipeline gives them to its model.
    """
    places = content_places(parts, concepts, states.shape[1])
    return torch.stack([row[list(own)].mean(dim=0) for row, own in zip(states, places, strict=True)])


def content_places(parts: Sequence[TextPart], concepts: Sequence[str], length: int) -> list[tuple[int, ...]]:
    """Where each concept's own tokens are in a context of so many tokens."""
    context = torch.empty(len(concepts), length, 0)
    rows = Encoders(parts, concepts).painted(context, False)
    return [tokens.content for tokens in mentions(rows, [{}] * len(concepts), length)]


def require(encoder: Any, kind: str, name: str) -> None:
    """See that a pipeline has the text encoder that concepts are encoded by.

    Raises:
        ModelError: it was left without it.
    """
    if encoder is None:
        raise ModelError(f"concepts are encoded by the pipeline's {kind} encoder ({name}), which it was left without")
