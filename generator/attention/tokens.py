"""Where the words of a prompt are among the tokens a text encoder reads.

Works from token ids, as the encoder got them: cut off where the encoder's context ends, and with learned
words already put in. Serves tokenizers of CLIP's kind (byte-level BPE with "</w>" at the end of a word), in
any version of transformers. What counts as a mention is the business of ``generator.phrases``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from diffucurate.generator.errors import ModelError
from diffucurate.generator.phrases import find_mentions

_WORD_END = "</w>"


@dataclass(frozen=True)
class PromptTokens:
    """Token positions of one prompt, counted with the start token at 0.

    ``classes`` maps each class that is mentioned to the positions of all tokens of all its mentions, in
    order. ``content`` is the half-open range of positions that hold the prompt itself.
    """

    classes: dict[str, tuple[int, ...]]
    content: tuple[int, int]


def locate(tokenizer: Any, ids: Sequence[int], classes: Mapping[str, Sequence[str]]) -> PromptTokens:
    """Find the mentions of classes in one tokenised prompt.

    Args:
        tokenizer: the tokenizer that made the ids.
        ids: one prompt's ids with start token, end token and padding.
        classes: class -> the phrases that mean it. Letter case, plurals of the last word, repeated mentions
            and punctuation around a phrase are taken care of.

    A class that is not mentioned, or only beyond the end of the context, is absent from the result: the
    model has not read it either.

    Raises:
        ModelError: a tokenizer of another kind.
    """
    if tokenizer.convert_tokens_to_ids("a" + _WORD_END) in (None, tokenizer.unk_token_id):
        raise ModelError(
            f"{type(tokenizer).__name__} does not mark the ends of words as CLIP's tokenizer does; "
            "attention can be traced in models with a CLIP text encoder"
        )
    first = 1 if ids and ids[0] == tokenizer.bos_token_id else 0
    ends = (position for position in range(first, len(ids)) if ids[position] == tokenizer.eos_token_id)
    content = (first, next(ends, len(ids)))

    phrases = [phrase for phrases in classes.values() for phrase in phrases]
    if not phrases:
        return PromptTokens({}, content)
    added = set(tokenizer.get_added_vocab().values())
    text, owners = _spell(tokenizer, added, ids[content[0] : content[1]])
    # A phrase is spelled by the same tokenizer, so that both are folded and spaced alike.
    phrase_ids = tokenizer(phrases, add_special_tokens=False).input_ids
    spellings = iter([_spell(tokenizer, added, ids)[0] for ids in phrase_ids])
    spelled = {label: [next(spellings) for _ in phrases] for label, phrases in classes.items()}
    found: dict[str, set[int]] = {}
    for mention in find_mentions(text, spelled):
        # A hyphen within a phrase belongs to the mention, but means nothing.
        span = range(mention.start, mention.end)
        spelling = [k for k in span if not unicodedata.category(text[k]).startswith("P")]
        found.setdefault(mention.label, set()).update(first + owner for k in spelling for owner in owners[k])
    return PromptTokens({label: tuple(sorted(found[label])) for label in classes if label in found}, content)


def _spell(tokenizer: Any, added: set[int], ids: Sequence[int]) -> tuple[str, list[tuple[int, ...]]]:
    """The text of a run of tokens, words apart, and for each of its characters the tokens that spell it.

    ``added`` are the ids of words that were added to the vocabulary, each a word of its own. A last word
    without its end was cut off by the end of the context and is left out.
    """
    text: list[str] = []
    owners: list[tuple[int, ...]] = []
    word, owner_of_byte = bytearray(), list[int]()
    for position, (token_id, token) in enumerate(zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)):
        whole = token_id in added or token.endswith(_WORD_END)
        spelling = token if token_id in added else token.removesuffix(_WORD_END)
        piece = b"".join(_BYTES.get(character) or character.encode() for character in spelling)
        word += piece
        owner_of_byte += [position] * len(piece)
        if whole:
            for character, owned in _characters(bytes(word), owner_of_byte):
                text.append(character)
                owners.append(owned)
            text.append(" ")
            owners.append(())
            word, owner_of_byte = bytearray(), []
    return "".join(text), owners


def _characters(word: bytes, owner_of_byte: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
    """Each character of a UTF-8 word with the tokens that hold its bytes: a character may span several tokens."""
    starts = [index for index, byte in enumerate(word) if byte & 0xC0 != 0x80] + [len(word)]
    return [
        (word[left:right].decode("utf-8", "replace")[0], tuple(dict.fromkeys(owner_of_byte[left:right])))
        for left, right in pairwise(starts)
    ]


def _byte_alphabet() -> dict[str, bytes]:
    """The printable characters by which byte-level BPE (GPT-2, CLIP) writes the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return {chr(byte) if byte in printable else chr(next(spare)): bytes([byte]) for byte in range(256)}


_BYTES = _byte_alphabet()
