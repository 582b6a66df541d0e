"""Reads queries and keys where a UNet's attention processor computes them, and leaves the output alone.

The layer's own processor still makes the output, with the same operations in the same order: an image
painted under a trace is the image painted without one, whatever processor (fused, sliced, xformers, LoRA,
IP-Adapter...) is in use. What the projections of the layer give in passing is observed by forward hooks that
live as long as one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

#: Called as ``observe(attn, query, key, mask)``: query (rows, heads, pixels, width), key (rows, heads, tokens,
#: width), and the additive mask (rows, 1, tokens) or None; rows are those of the whole batch.
Observer = Callable[[Attention, Tensor, Tensor, Tensor | None], None]


def traced(original: Any, begin: Callable[[int], Observer | None]) -> Any:
    """A processor that does what ``original`` does and reports the cross-attention's queries and keys.

    Args:
        original: the layer's processor.
        begin: asked before each call, with the layer's number of pixels, who shall get the report; None skips it.
    """

    # diffusers passes on those keyword arguments that the signature of __call__ names: keep the original's.
    @wraps(type(original).__call__)
    def call(
        self: Any,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Any = None,
        attention_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        states = (hidden_states, encoder_hidden_states, attention_mask)
        observe = None if encoder_hidden_states is None else begin(hidden_states.shape[1])
        if observe is None:
            return original(attn, *states, *args, **kwargs)
        with _projections(attn) as seen:
            output = original(attn, *states, *args, **kwargs)
        with torch.no_grad():
            query = seen["to_q"] if "to_q" in seen else attn.to_q(hidden_states)
            key = seen["to_k"] if "to_k" in seen else attn.to_k(_context(attn, encoder_hidden_states))
            query, key = _split_heads(attn, query), _split_heads(attn, key)
            if attn.norm_q is not None:
                query = attn.norm_q(query)
            if attn.norm_k is not None:
                key = attn.norm_k(key)
            observe(attn, query, key, attention_mask)
        return output

    return type("Traced" + type(original).__name__, (), {"__call__": call})()


@contextmanager
def _projections(attn: Attention) -> Iterator[dict[str, Tensor]]:
    """What ``to_q`` and ``to_k`` return meanwhile; a fused processor may call neither."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[Any, Any, Tensor], None]:
        def hook(module: Any, inputs: Any, output: Tensor) -> None:
            seen[name] = output.detach()

        return hook

    handles = [getattr(attn, name).register_forward_hook(keep(name)) for name in ("to_q", "to_k")]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _context(attn: Attention, encoder_hidden_states: Tensor) -> Tensor:
    return attn.norm_encoder_hidden_states(encoder_hidden_states) if attn.norm_cross else encoder_hidden_states


def _split_heads(attn: Attention, projected: Tensor) -> Tensor:
    """(rows, n, heads * width) -> (rows, heads, n, width)."""
    rows, n, channels = projected.shape
    return projected.view(rows, n, attn.heads, channels // attn.heads).transpose(1, 2)
