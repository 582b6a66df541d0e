"""Reads queries and keys where a model's attention processor computes them, and leaves the output alone.

The layer's own processor still makes the output, with the same operations in the same order: an image
painted under a trace is the image painted without one, whatever processor (fused, sliced, xformers, LoRA,
IP-Adapter...) is in use. The outputs of the layer's projections are observed by forward hooks that live as long as one
call; what a processor does to queries and keys after that is repeated here.

In a model that torch.compile compiled, a traced layer runs uncompiled between compiled parts. The image is then the
same up to the compiler's rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, wraps
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Attended:
    """Queries and keys of one call of one layer, for the rows of the whole batch.

    Attributes:
        query: the pixels' queries, (rows, heads, pixels, width).
        key: the text's keys, (rows, heads, tokens, width); in self-attention those of the pixels themselves.
        scale: the factor of their product.
        mask: added to the scores, (rows, 1, tokens), or None.
        rivals: keys of other tokens that share the pixels' attention, such as those of the image itself,
            (rows, heads, others, width), or None.
        outputs: what the heads made of the pixels, side by side, before the output projection, (rows, pixels,
            heads * width); None where the reading does not say so, or the layer has no projection of its own.
        result: what the layer returned for that of which the queries are, (rows, n, channels).
    """

    query: Tensor
    key: Tensor
    scale: float
    mask: Tensor | None = None
    rivals: Tensor | None = None
    outputs: Tensor | None = None
    result: Tensor | None = None


Observer = Callable[[Attended], None]


@dataclass(frozen=True)
class Call:
    """What a processor is called with: its layer, the states of image and text, and how positions are encoded.

    In self-attention there is no text, and the image's states stand in its place.
    """

    attn: Any
    image: Tensor
    text: Tensor
    mask: Tensor | None
    rotary: tuple[Tensor, Tensor] | None


#: Names the input of the output projection among the projections to observe.
_OUTPUTS = "to_out"

#: The names of the projections to observe, and the function that makes ``Attended`` of their outputs.
Reading = tuple[tuple[str, ...], Callable[[Call, dict[str, Tensor]], Attended]]


def traced(original: Any, reading: Reading, begin: Callable[[int], Observer | None]) -> Any:
    """A processor that does what ``original`` does and reports the layer's queries and keys.

    Args:
        original: the layer's processor.
        reading: ``CROSS``, ``JOINT``, ``SELF`` or ``SINGLE``, as the layer's attention is.
        begin: called before each call with the layer's number of pixels; returns the observer of the call, None for
            none.
    """
    kind: Any = type(original)
    processor = _traced_class(kind)()
    processor.original, processor.reading, processor.begin = original, reading, begin
    return processor


# One class for all traces of a kind of processor, so that torch.compile's cache serves the next trace too.
@cache
def _traced_class(kind: Any) -> Any:
    # diffusers passes on those keyword arguments that the signature of __call__ names: keep the original's.
    @torch.compiler.disable
    @wraps(kind.__call__)
    def call(
        self: Any,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Any = None,
        attention_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        states = (hidden_states, encoder_hidden_states, attention_mask)
        names, read = self.reading
        alone = encoder_hidden_states is None
        observe = self.begin(hidden_states.shape[1]) if alone == (read in (_self, _single)) else None
        if observe is None:
            return self.original(attn, *states, *args, **kwargs)
        with _projections(attn, names) as seen:
            output = self.original(attn, *states, *args, **kwargs)
        rotary = kwargs.get("image_rotary_emb", args[0] if args and isinstance(args[0], tuple) else None)
        with torch.no_grad():
            text = hidden_states if alone else encoder_hidden_states
            attended = read(Call(attn, hidden_states, text, attention_mask, rotary), seen)
            result = output[0] if isinstance(output, tuple) else output
            observe(replace(attended, outputs=seen.get(_OUTPUTS), result=result))
        return output

    return type("Traced" + kind.__name__, (), {"__call__": call})


@contextmanager
def _projections(attn: Any, names: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """What these projections return meanwhile; a fused processor may call none of them. Of the output projection it is
    what it is given."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[Any, Any, Tensor], None]:
        def hook(module: Any, inputs: Any, output: Tensor) -> None:
            seen[name] = output.detach()

        return hook

    def keep_outputs(module: Any, inputs: tuple[Tensor, ...]) -> None:
        seen[_OUTPUTS] = inputs[0].detach()

    handles = [getattr(attn, name).register_forward_hook(keep(name)) for name in names if name != _OUTPUTS]
    if _OUTPUTS in names and getattr(attn, "to_out", None) is not None:
        handles.append(attn.to_out[0].register_forward_pre_hook(keep_outputs))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def text_keys(attn: Any, text: Tensor) -> Tensor:
    """The keys that a cross-attention layer makes of any text's states.

    Args:
        attn: the layer, a diffusers ``Attention``; what adapters add to its projections counts.
        text: (rows, tokens, channels), as the layer is given text.

    Returns:
        (rows, heads, tokens, width). Gradients flow through.
    """
    return _heads(attn, {}, "to_k", attn.norm_encoder_hidden_states(text) if attn.norm_cross else text, "norm_k")


def _cross(call: Call, seen: dict[str, Tensor]) -> Attended:
    attn = call.attn
    query = _heads(attn, seen, "to_q", call.image, "norm_q")
    key = _heads(attn, seen, "to_k", call.text, "norm_k") if "to_k" in seen else text_keys(attn, call.text)
    return Attended(query, key, attn.scale, call.mask)


def _joint(call: Call, seen: dict[str, Tensor]) -> Attended:
    attn = call.attn
    query = _heads(attn, seen, "to_q", call.image, "norm_q")
    rivals = _heads(attn, seen, "to_k", call.image, "norm_k")
    key = _heads(attn, seen, "add_k_proj", call.text, "norm_added_k")
    if call.rotary is not None:
        tokens = key.shape[2]
        of_text, of_image = ([part[span] for part in call.rotary] for span in (slice(tokens), slice(tokens, None)))
        query, rivals, key = rotated(query, *of_image), rotated(rivals, *of_image), rotated(key, *of_text)
    return Attended(query, key, query.shape[-1] ** -0.5, rivals=rivals)


def _self(call: Call, seen: dict[str, Tensor]) -> Attended:
    query = _heads(call.attn, seen, "to_q", call.image, "norm_q")
    key = _heads(call.attn, seen, "to_k", call.image, "norm_k")
    return Attended(query, key, call.attn.scale)


def _single(call: Call, seen: dict[str, Tensor]) -> Attended:
    query = _heads(call.attn, seen, "to_q", call.image, "norm_q")
    key = _heads(call.attn, seen, "to_k", call.image, "norm_k")
    if call.rotary is not None:
        query, key = rotated(query, *call.rotary), rotated(key, *call.rotary)
    return Attended(query, key, query.shape[-1] ** -0.5)


def with_outputs(reading: Reading) -> Reading:
    """The same reading, which tells ``Attended.outputs`` too."""
    return (*reading[0], _OUTPUTS), reading[1]


def split_text(attended: Attended, tokens: int) -> Attended:
    """What ``SINGLE`` reads of a stream that begins with so many tokens of text, as ``JOINT`` reads it of two."""
    result = attended.result
    return replace(
        attended,
        query=attended.query[:, :, tokens:],
        key=attended.key[:, :, :tokens],
        rivals=attended.key[:, :, tokens:],
        result=None if result is None else result[:, tokens:],
    )


#: Cross-attention: the queries are the pixels', the keys the text's.
CROSS: Reading = (("to_q", "to_k"), _cross)

#: Joint attention: image and text are one sequence, so a pixel's attention is shared between words and pixels.
JOINT: Reading = (("to_q", "to_k", "add_k_proj"), _joint)

#: Self-attention: queries and keys are the pixels'.
SELF: Reading = (("to_q", "to_k"), _self)

#: Joint attention of one stream: queries and keys are those of the text and, after it, of the pixels.
SINGLE: Reading = (("to_q", "to_k"), _single)


def rotated(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary embedding: each pair of channels turned by its position's angle.

    ``states`` is (rows, heads, n, width); ``cosines`` and ``sines`` are (n, width), every angle twice.
    """
    even, odd = states.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([-odd, even], dim=-1).flatten(-2)
    return (states.float() * cosines.to(states.device) + turned * sines.to(states.device)).to(states.dtype)


def _heads(attn: Any, seen: dict[str, Tensor], name: str, states: Tensor, norm: str) -> Tensor:
    """(rows, heads, n, width): one projection, seen or made again, by heads and normalised where the layer does."""
    projected = seen[name] if name in seen else getattr(attn, name)(states)
    split = projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
    normalise = getattr(attn, norm, None)
    return split if normalise is None else normalise(split)
