"""Concepts in the place of a block's text: what a reference of concept attention takes from the model's own blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch


class Pass(dict[str, Any]):
    """The arguments of one call of the model, and of each block those of its call and its image's attention output."""

    blocks: list[dict[str, Any]]


def blocks_of(pipe: Any) -> Any:
    model = pipe.transformer
    return model.layers if hasattr(model, "layers") else model.transformer_blocks


def named(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {**dict(zip(list(signature(type(module).forward).parameters)[1:], args, strict=False)), **kwargs}


@contextmanager
def observed(pipe: Any) -> Iterator[list[Pass]]:
    """All passes of a run."""
    passes: list[Pass] = []

    def begin(module: Any, args: Any, kwargs: Any) -> None:
        passes.append(Pass(named(module, args, kwargs)))
        passes[-1].blocks = []

    def block_begins(module: Any, args: Any, kwargs: Any) -> None:
        passes[-1].blocks.append(named(module, args, kwargs))

    handles = [pipe.transformer.register_forward_pre_hook(begin, with_kwargs=True)]
    for block in blocks_of(pipe):
        attn = getattr(block, "attn", None) or block.attention
        handles += [
            block.register_forward_pre_hook(block_begins, with_kwargs=True),
            attn.to_out[0].register_forward_pre_hook(lambda _, args: passes[-1].blocks[-1].update(output=args[0])),
        ]
    yield passes
    for handle in handles:
        handle.remove()


def only(rows: slice, value: Any, count: int) -> Any:
    """The rows of the images, of what has a row for each."""
    return value[rows] if isinstance(value, torch.Tensor) and value.ndim and len(value) == count else value


def concepts_in_block(
    pipe: Any, block: Any, call: Mapping[str, Any], states: torch.Tensor, concept_time: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The concepts after a block, and their attention output in it."""
    given = {name: value for name, value in call.items() if name != "output"}
    seen: list[torch.Tensor] = []
    keep = lambda _, args: seen.append(args[0])  # noqa: E731
    count = states.shape[1]
    if "x" in given:  # one stream, 48 pixels filled up to 64
        given["x"] = torch.cat([given["x"][:, :64], states], dim=1)
        given["freqs_cis"] = torch.cat(
            [given["freqs_cis"][:, :64], given["freqs_cis"][:, 64:65].repeat(1, count, 1)], 1
        )
        given["attn_mask"] = None
        handle = block.attention.to_out[0].register_forward_pre_hook(keep)
        after = block(**given)[:, 64:]
        handle.remove()
        return after, seen[0][:, 64:]
    given |= {"encoder_hidden_states": states, "encoder_hidden_states_mask": None, "joint_attention_kwargs": None}
    given = {name: value for name, value in given.items() if name in signature(type(block).forward).parameters}
    rotary = given.get("image_rotary_emb")
    if rotary is not None and rotary[0].is_complex():
        given["image_rotary_emb"] = rotary[0], rotary[1][:1].repeat(count, 1)
    elif rotary is not None:
        tokens = given["hidden_states"].shape[1]
        given["image_rotary_emb"] = tuple(torch.cat([part[:1].repeat(count, 1), part[-tokens:]]) for part in rotary)
    if block.attn.to_add_out is not None:
        handles = [block.attn.to_add_out.register_forward_pre_hook(keep)]
    else:  # the last block of Stable Diffusion 3, whose layer returns the text's output as it is
        handles = [block.attn.register_forward_hook(lambda *call: seen.append(call[-1][1]))]
    if concept_time is not None:

        def put(module: Any, args: Any, kwargs: Any) -> Any:
            return (args[:1], {"emb": concept_time}) if kwargs else ((args[0], concept_time), {})

        handles.append(block.norm1_context.register_forward_pre_hook(put, with_kwargs=True))
    after = block(**given)[0]
    for handle in handles:
        handle.remove()
    return after, seen[0]
