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
from inspect import signature
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
            (rows, heads, others, width), or None; ``mask`` does not say anything of them.
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

    In self-attention there is no text, and the image's states stand in its place. ``mask`` and ``rotary`` are as the
    layer's own processor is given them.
    """

    attn: Any
    image: Tensor
    text: Tensor
    mask: Tensor | None
    rotary: Any


#: How positions are encoded: cosines and sines, or complex numbers.
Rotary = tuple[Tensor, Tensor] | Tensor

#: Names the input of the output projection among the projections to observe.
_OUTPUTS = "to_out"

#: The names of the projections to observe, and the function that makes ``Attended`` of their outputs.
Reading = tuple[tuple[str, ...], Callable[[Call, dict[str, Tensor]], Attended]]


def traced(original: Any, reading: Reading, begin: Callable[[int], Observer | None]) -> Any:
    """A processor that does what ``original`` does and reports the layer's queries and keys.

    Args:
        original: the layer's processor.
        reading: one of those below, as the layer's attention is.
        begin: called before each call with the layer's number of pixels; returns the observer of the call, None for
            none.
    """
    kind: Any = type(original)
    processor = _traced_class(kind)()
    processor.original, processor.reading, processor.begin = original, reading, begin
    return processor


#: By which of their arguments processors are told of padding, and how positions are encoded.
_MASKS, _ROTARY = ("encoder_hidden_states_mask", "attention_mask"), ("image_rotary_emb", "freqs_cis")


# One class for all traces of a kind of processor, so that torch.compile's cache serves the next trace too.
@cache
def _traced_class(kind: Any) -> Any:
    # diffusers passes on those keyword arguments that the signature of __call__ names: keep the original's.
    _, _, *names = signature(kind.__call__).parameters

    @torch.compiler.disable
    @wraps(kind.__call__)
    def call(self: Any, attn: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = {**dict(zip(names, args, strict=False)), **kwargs}
        image, text = inputs["hidden_states"], inputs.get("encoder_hidden_states")
        projections, read = self.reading
        observe = self.begin(image.shape[1]) if (text is None) == (read in _ALONE) else None
        if observe is None:
            return self.original(attn, *args, **kwargs)
        with _projections(attn, projections) as seen:
            output = self.original(attn, *args, **kwargs)
        mask = next((inputs[name] for name in _MASKS if inputs.get(name) is not None), None)
        rotary = next((inputs[name] for name in _ROTARY if inputs.get(name) is not None), None)
        with torch.no_grad():
            attended = read(Call(attn, image, image if text is None else text, mask, rotary), seen)
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
    if _OUTPUTS in names and isinstance(getattr(attn, "to_out", None), torch.nn.ModuleList):
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
        of_text, of_image = _rotary_of_two(call.rotary, key.shape[2])
        query, rivals, key = turned(query, of_image), turned(rivals, of_image), turned(key, of_text)
    return Attended(query, key, query.shape[-1] ** -0.5, _added(call.mask, key.shape[2]), rivals)


def _rotary_of_two(rotary: Any, tokens: int) -> tuple[Rotary, Rotary]:
    """The rotary embeddings of text and image: of one sequence that begins with so many tokens of text (Flux), or a
    pair of complex ones, the image's first (Qwen-Image)."""
    if rotary[0].is_complex():
        return rotary[1], rotary[0]
    text, image = ((rotary[0][span], rotary[1][span]) for span in (slice(tokens), slice(tokens, None)))
    return text, image


def _self(call: Call, seen: dict[str, Tensor]) -> Attended:
    query = _heads(call.attn, seen, "to_q", call.image, "norm_q")
    key = _heads(call.attn, seen, "to_k", call.image, "norm_k")
    return Attended(query, key, call.attn.scale)


def _single(call: Call, seen: dict[str, Tensor]) -> Attended:
    query = _heads(call.attn, seen, "to_q", call.image, "norm_q")
    key = _heads(call.attn, seen, "to_k", call.image, "norm_k")
    return _of_one_stream(call, query, key)


def _parallel(call: Call, seen: dict[str, Tensor]) -> Attended:
    attn = call.attn
    projected = seen["to_qkv_mlp_proj"] if "to_qkv_mlp_proj" in seen else attn.to_qkv_mlp_proj(call.image)
    query, key = projected[..., : 2 * attn.inner_dim].chunk(2, dim=-1)
    both = {"to_q": query, "to_k": key}
    return _of_one_stream(
        call, _heads(attn, both, "to_q", call.image, "norm_q"), _heads(attn, both, "to_k", call.image, "norm_k")
    )


def _of_one_stream(call: Call, query: Tensor, key: Tensor) -> Attended:
    if call.rotary is not None:
        query, key = turned(query, call.rotary), turned(key, call.rotary)
    return Attended(query, key, query.shape[-1] ** -0.5, _added(call.mask, key.shape[2]))


def _added(mask: Tensor | None, tokens: int) -> Tensor | None:
    """(rows, 1, tokens), to be added to the scores: of a mask (rows, ..., tokens or more) that is true where there is a
    token."""
    if mask is None:
        return None
    mask = mask.flatten(1)[:, :tokens]
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask.bool(), -torch.inf)[:, None]


def with_outputs(reading: Reading) -> Reading:
    """The same reading, which tells ``Attended.outputs`` too."""
    return (*reading[0], _OUTPUTS), reading[1]


def split_stream(attended: Attended, text: slice, image: slice) -> Attended:
    """What is read of one stream as ``JOINT`` reads it of two: ``text`` and ``image`` are their places in the stream.

    Tokens of the image must not be masked.
    """
    mask, result = attended.mask, attended.result
    return replace(
        attended,
        query=attended.query[:, :, image],
        key=attended.key[:, :, text],
        rivals=attended.key[:, :, image],
        mask=None if mask is None else mask[..., text],
        outputs=None if attended.outputs is None else attended.outputs[:, image],
        result=None if result is None else result[:, image],
    )


#: Cross-attention: the queries are the pixels', the keys the text's.
CROSS: Reading = (("to_q", "to_k"), _cross)

#: Joint attention: image and text are one sequence, so a pixel's attention is shared between words and pixels.
JOINT: Reading = (("to_q", "to_k", "add_k_proj"), _joint)

#: Self-attention: queries and keys are the pixels'.
SELF: Reading = (("to_q", "to_k"), _self)

#: Joint attention of one stream: queries and keys are those of the text and of the pixels, in one sequence.
SINGLE: Reading = (("to_q", "to_k"), _single)

#: The same where one projection makes queries, keys, values and the feed-forward's input (Flux.2).
PARALLEL: Reading = (("to_qkv_mlp_proj",), _parallel)

#: The readings of layers that are given one sequence alone.
_ALONE = (_self, _single, _parallel)


def one_stream(reading: Reading) -> bool:
    """Whether a reading is of a layer in which image and text are one stream."""
    return reading[1] in (_single, _parallel)


def turned(states: Tensor, rotary: Rotary) -> Tensor:
    """Rotary embedding: each pair of channels turned by its position's angle.

    ``states`` is (rows, heads, n, width); ``rotary`` the angles' cosines and sines, each (n, width) with every angle
    twice, or complex numbers, (n, width / 2) or for each row (rows, n, width / 2).
    """
    if isinstance(rotary, Tensor):
        factors = rotary if rotary.ndim == 2 else rotary[:, None]
        pairs = torch.view_as_complex(states.float().unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * factors.to(states.device)).flatten(-2).to(states.dtype)
    cosines, sines = rotary
    even, odd = states.float().unflatten(-1, (-1, 2)).unbind(-1)
    crossed = torch.stack([-odd, even], dim=-1).flatten(-2)
    return (states.float() * cosines.to(states.device) + crossed * sines.to(states.device)).to(states.dtype)


def _heads(attn: Any, seen: dict[str, Tensor], name: str, states: Tensor, norm: str) -> Tensor:
    """(rows, heads, n, width): one projection, seen or made again, by heads and normalised where the layer does."""
    projected = seen[name] if name in seen else getattr(attn, name)(states)
    split = projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
    normalise = getattr(attn, norm, None)
    return split if normalise is None else normalise(split)
