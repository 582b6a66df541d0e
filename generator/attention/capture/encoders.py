"""Which prompts are painted: records the calls of a pipeline's text encoders, and finds their states in the model's
context.

A pipeline may encode prompts and negative prompts in any order, with one encoder or three. The prompts of the images
are identified by the states of each prompt's last token that the model is given, which depend on the whole prompt: they
are compared with the context. Knows neither models nor classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.chat import ChatTemplate, TokenRow
from diffucurate.generator.attention.capture.tokens import PromptTokens, check_tokenizer, joined, locate


@dataclass(frozen=True)
class TextPart:
    """One text encoder's share of what the model reads, its context.

    Its tokens stand at the positions from ``start`` on, its states in the channels from ``channel`` on. ``encoder`` is
    None where a pipeline was loaded without it, to be given ready embeddings. ``prepare`` is the pipeline's own change
    to a prompt before it is tokenised. ``chat`` is the conversation that a prompt stands in, for a language model.
    """

    tokenizer: Any
    encoder: Any
    start: int = 0
    channel: int = 0
    prepare: Callable[[str], str] = str
    chat: ChatTemplate | None = None


@dataclass(frozen=True)
class _Encoded:
    """One call of an encoder: its rows, and their last token's states after each layer that the encoder returned."""

    rows: list[TokenRow]
    last: list[Tensor]


class Encoders:
    """The calls of a pipeline's text encoders from ``listen`` until ``release``.

    Args:
        parts: the encoders and their shares; those that a pipeline was loaded without have no tokenizer.
        prompts: the prompts where they are known beforehand; then no calls are recorded.
        ids: the prompts' token ids for each part that has a tokenizer, where the pipeline's own would differ: contexts
            may follow one another, each with start and end tokens.

    Raises:
        ModelError: a tokenizer in which phrases cannot be found.
    """

    def __init__(
        self, parts: Sequence[TextPart], prompts: Sequence[str] | None, ids: Sequence[list[list[int]]] | None = None
    ) -> None:
        self._parts, self._given = [part for part in parts if part.tokenizer is not None], prompts
        self._ids = ids
        for part in self._parts:
            check_tokenizer(part.tokenizer)
        self._heard: list[list[_Encoded]] = [[] for _ in self._parts]
        self._handles: list[Any] = []

    def listen(self) -> None:
        """Begin to record calls."""
        if self._given is not None or self._ids is not None:
            return
        for part, calls in zip(self._parts, self._heard, strict=True):
            if part.encoder is not None:
                self._handles.append(part.encoder.register_forward_hook(_recorder(part, calls), with_kwargs=True))

    def release(self) -> None:
        """Stop recording, and forget the states."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._heard = [[] for _ in self._parts]

    @property
    def whole(self) -> bool:
        """Whether the pipeline has all the encoders whose tokens its model reads."""
        return bool(self._parts) and all(part.encoder is not None for part in self._parts)

    @property
    def prompts(self) -> int:
        """How many prompts there are, 0 where none was encoded yet."""
        if self._ids is not None:
            return len(self._ids[0])
        if self._given is not None:
            return len(self._given)
        return next((len(calls[0].rows) for calls in self._heard if calls), 0)

    @property
    def calls(self) -> int:
        """How often the encoders were called, all together."""
        return sum(len(calls) for calls in self._heard)

    def painted(self, context: Tensor, guided: bool) -> list[tuple[TextPart, list[TokenRow]]]:
        """The prompts that are painted, one row per prompt, by part; empty where they cannot be identified.

        Args:
            context: (images, tokens, channels), what the model was given for the images.
            guided: whether it was given negative prompts too.
        """
        if self._ids is not None:
            return [(part, [TokenRow(ids) for ids in rows]) for part, rows in zip(self._parts, self._ids, strict=True)]
        if self._given is not None:
            return [(part, _tokenised(part, self._given, context.shape[1])) for part in self._parts]
        painted = []
        for part, calls in zip(self._parts, self._heard, strict=True):
            matching = [call for call in calls if _is_in(part, call, context)]
            if not matching and len(calls) > guided:
                # States that were changed on the way (clip_skip, weighted words): prompts come before negative ones.
                matching = calls
            if matching:
                painted.append((part, matching[0].rows))
            elif calls:
                return []  # recorded, but not of what is painted
        return painted


def mentions(
    painted: Sequence[tuple[TextPart, list[TokenRow]]], phrases: Sequence[Mapping[str, Sequence[str]]], length: int
) -> list[PromptTokens]:
    """Where the classes are in each prompt, counted as the model reads it.

    Args:
        painted: the prompts, one row per prompt, by part; see ``Encoders.painted``.
        phrases: for each prompt class -> the phrases that mean it.
        length: tokens in the context.
    """
    return [
        joined((part.start, _located(part, rows[row], classes, length - part.start)) for part, rows in painted)
        for row, classes in enumerate(phrases)
    ]


def _located(part: TextPart, row: TokenRow, classes: Mapping[str, Sequence[str]], length: int) -> PromptTokens:
    """Where the classes are in a row of which the model reads the first ``length`` tokens."""
    ids = row.ids[:length]
    if row.content is None:
        return locate(part.tokenizer, ids, classes)
    first, end = row.content
    return locate(part.tokenizer, ids, classes, (first, min(end, len(ids))), row.cut or end > len(ids))


def _recorder(part: TextPart, calls: list[_Encoded]) -> Any:
    def record(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        ids: Tensor = args[0] if args else kwargs["input_ids"]
        if part.chat is not None and ids.shape[1] == 1:
            return  # a language model that writes a prompt, token by token
        mask = kwargs.get("attention_mask")
        rows, ends = _rows(part, ids.tolist(), None if mask is None else mask.int().tolist())
        values = output.values() if isinstance(output, dict) else output
        layers = [layer for value in values for layer in (value if isinstance(value, (tuple, list)) else (value,))]
        # By numbers and not by a slice, which would keep the whole layer's states.
        last = [
            layer.detach()[torch.arange(len(ends)), torch.tensor(ends) - 1]
            for layer in layers
            if isinstance(layer, Tensor) and layer.ndim == 3 and layer.shape[1] == ids.shape[1]
        ]
        calls.append(_Encoded(rows, last))

    return record


def _rows(part: TextPart, ids: list[list[int]], mask: list[list[int]] | None) -> tuple[list[TokenRow], list[int]]:
    """The rows of a call as the context holds them, and the number of tokens up to the last of these in each."""
    if part.chat is None:
        return [TokenRow(row) for row in ids], [len(row) for row in ids]
    mask = mask or [[1] * len(row) for row in ids]
    rows = [part.chat.row(part.tokenizer, row, real) for row, real in zip(ids, mask, strict=True)]
    return rows, [part.chat.span(real)[1] for real in mask]


def _is_in(part: TextPart, call: _Encoded, context: Tensor) -> bool:
    """Whether the rows of a context, one per image, hold the states of this call, each for as many images."""
    each, remainder = divmod(context.shape[0], len(call.rows))
    positions = [part.start + len(row.ids) - 1 for row in call.rows]
    if remainder or not 0 <= min(positions) <= max(positions) < context.shape[1]:
        return False
    places = torch.tensor(positions).repeat_interleave(each)
    for states in reversed(call.last):
        rows = context[torch.arange(len(places)), places, part.channel : part.channel + states.shape[1]]
        if torch.equal(rows, states.to(rows).repeat_interleave(each, dim=0)):
            return True
    return False


def _tokenised(part: TextPart, prompts: Sequence[str], length: int) -> list[TokenRow]:
    """The tokens of prompts as a pipeline would have made them for a context of so many."""
    if part.chat is not None:
        return _rows(part, *part.chat.write(prompts, length - part.start))[0]
    most = min(length - part.start, part.tokenizer.model_max_length)
    texts = [part.prepare(prompt) for prompt in prompts]
    rows = part.tokenizer(texts, padding="max_length", max_length=most, truncation=True).input_ids
    return [TokenRow(row) for row in rows]
