"""Attention with its softmax in the open, as peers read it. Not part of the library.

diffusers' default processors use fused attention, which never holds the probabilities. The peers put a processor of
their own in its place that does: slower and hungrier, and the images differ by rounding. It shares no code with the
library's trace, so that what is read through it can serve as a reference for the trace too. Knows layers of UNets, no
joint attention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

#: Called with a layer's name, its queries (rows, heads, pixels, width) and probabilities (rows, heads, pixels, tokens).
Watch = Callable[[str, Tensor, Tensor], None]


class ExplicitAttention:
    """A processor of one self- or cross-attention layer."""

    def __init__(self, layer: str, watch: Watch) -> None:
        self._layer, self._watch = layer, watch

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(context))
        value = attn.head_to_batch_dim(attn.to_v(context))
        shares = attn.get_attention_scores(query, key, attention_mask)
        self._watch(self._layer, *(each.unflatten(0, (-1, attn.heads)) for each in (query, shares)))
        return attn.to_out[1](attn.to_out[0](attn.batch_to_head_dim(shares @ value)))


def cross_attention(unet: Any, blocks: tuple[str, ...] = ("down", "up")) -> list[str]:
    """The names of the processors between pixels and text in these blocks; DAAM and its heirs leave out the middle."""
    starts = tuple(f"{block}_block" for block in blocks)
    return [name for name in unet.attn_processors if name.endswith("attn2.processor") and name.startswith(starts)]


def self_attention(unet: Any) -> list[str]:
    """The names of the processors among pixels."""
    return [name for name in unet.attn_processors if name.endswith("attn1.processor")]


@contextmanager
def watched(unet: Any, layers: Iterable[str], watch: Watch) -> Iterator[None]:
    """These layers attend in the open and report to ``watch`` meanwhile."""
    saved = dict(unet.attn_processors)
    unet.set_attn_processor({**saved, **{layer: ExplicitAttention(layer, watch) for layer in layers}})
    try:
        yield
    finally:
        unet.set_attn_processor(saved)


def attended(unet: Any, layer: str, query: Tensor, context: Tensor) -> Tensor:
    """The probabilities that queries would have had with another text.

    Args:
        query: (rows, heads, pixels, width), as they were watched in ``layer``.
        context: (rows, tokens, channels), the text encoder's output for the other text.

    Returns:
        (rows, heads, pixels, tokens).
    """
    attn = unet.get_submodule(layer.removesuffix(".processor"))
    key = attn.head_to_batch_dim(attn.to_k(context))
    return attn.get_attention_scores(query.flatten(0, 1), key).unflatten(0, (-1, attn.heads))


def square(maps: Tensor) -> Tensor:
    """(..., pixels) -> (..., side, side); peers know square images only."""
    side = round(maps.shape[-1] ** 0.5)
    return maps.unflatten(-1, (side, side))
