"""Prompts that stand in a conversation, as a chat template writes them for a language model.

The diffusion model is given the states of the whole conversation or of a part of it. The words of a class are looked
for in what the user says alone: what the system says may name them too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class TokenRow(NamedTuple):
    """One prompt's token ids as the diffusion model's context holds them, and which of them are the prompt itself.

    ``content`` is [first, end); None where it lies between a start and an end token. ``cut`` says whether what closes
    the prompt is missing, so that its last word may be the start of a longer one.
    """

    ids: list[int]
    content: tuple[int, int] | None = None
    cut: bool = False


#: Prompts and the number of tokens of the context -> the ids and attention masks of a row each.
Writer = Callable[[Sequence[str], int], tuple[list[list[int]], list[list[int]]]]


@dataclass(frozen=True)
class ChatTemplate:
    """How a pipeline writes prompts, and which states of what it wrote are given to the diffusion model.

    Attributes:
        opening: what comes before the prompt; white space may follow.
        closing: the spelling of the special token that comes after it.
        write: the pipeline's own way of writing, padded as it does.
        media: the spelling of the special token after which the prompt begins where images come before it.
        trimmed: whether the states of padding are left out.
        dropped: how many of the other states are left out, at the start.
    """

    opening: str
    closing: str
    write: Writer
    media: str | None = None
    trimmed: bool = True
    dropped: int = 0

    def span(self, mask: Sequence[int]) -> tuple[int, int]:
        """[first, end) of the tokens whose states are given to the diffusion model; ``mask`` is 0 for padding, which
        is on one side."""
        if not self.trimmed:
            return 0, len(mask)
        first, end = _real(mask)
        return min(first + self.dropped, end), end

    def row(self, tokenizer: Any, ids: Sequence[int], mask: Sequence[int]) -> TokenRow:
        """A conversation's tokens as the diffusion model's context holds them."""
        first, end = self.span(mask)
        begin, stop, cut = self._prompt(tokenizer, list(ids), *_real(mask))
        return TokenRow(list(ids[first:end]), (max(begin - first, 0), max(stop - first, 0)), cut)

    def _prompt(self, tokenizer: Any, ids: list[int], first: int, end: int) -> tuple[int, int, bool]:
        """[first, end) of what the user says among all ids, and whether it is cut off."""
        opening = tokenizer(self.opening, add_special_tokens=False).input_ids
        starts = [place + len(opening) for place in range(first, end) if ids[place : place + len(opening)] == opening]
        begin = starts[-1] if starts else first
        closing = tokenizer.convert_tokens_to_ids(self.closing)
        stop = next((place for place in range(begin, end) if ids[place] == closing), None)
        if self.media is not None:
            media = tokenizer.convert_tokens_to_ids(self.media)
            begin = max((place + 1 for place in range(begin, stop or end) if ids[place] == media), default=begin)
        while begin < (stop or end) and not tokenizer.decode([ids[begin]]).strip():
            begin += 1
        return begin, end if stop is None else stop, stop is None


def _real(mask: Sequence[int]) -> tuple[int, int]:
    """[first, end) of the tokens that are no padding."""
    real = [place for place, value in enumerate(mask) if value]
    return (real[0], real[-1] + 1) if real else (0, 0)
