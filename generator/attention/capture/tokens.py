"""Where the words of a prompt are among the tokens a text encoder reads.

Works from token ids, as the encoder got them: cut off where the encoder's context ends, and with learned
words already put in. Serves tokenizers of CLIP's kind (byte-level BPE with "</w>" at the end of a word), of T5's
(SentencePiece with "▁" at the start of a word) and of language models (byte-level BPE in which the space before a word
belongs to it: Qwen, Mistral), in any version of transformers. ``generator.text.class_mentions`` says what counts as a
mention.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from diffucurate.generator.errors import ModelError
from diffucurate.generator.text.class_mentions import find_mentions

_WORD_END = "</w>"
_WORD_START = "▁"
#: Stands for what a tokenizer has no token for.
_UNKNOWN = "\ufffd"


@dataclass(frozen=True)
class PromptTokens:
    """Token positions of one prompt, counted as the model reads them, start tokens included.

    ``classes`` maps each class that is mentioned to the positions of all tokens of all its mentions, in
    order. ``content`` are the positions that hold the prompt itself, ``starts`` those of start tokens; what is in
    neither is end tokens and padding.
    """

    classes: dict[str, tuple[int, ...]]
    content: tuple[int, ...]
    starts: tuple[int, ...] = ()


#: The text of a run of tokens, words apart, and for each of its characters which of the tokens spell it.
_Spelling = tuple[str, list[tuple[int, ...]]]


def check_tokenizer(tokenizer: Any) -> None:
    """See that phrases can be found among a tokenizer's tokens.

    Raises:
        ModelError: a tokenizer of another kind.
    """
    _speller(tokenizer)


def locate(
    tokenizer: Any,
    ids: Sequence[int],
    classes: Mapping[str, Sequence[str]],
    content: tuple[int, int] | None = None,
    cut: bool = False,
) -> PromptTokens:
    """Find the mentions of classes in one tokenised prompt.

    Args:
        tokenizer: the tokenizer that made the ids.
        ids: one prompt's ids with start token, end token and padding; of a prompt longer than the tokenizer's context
            those of several contexts, one after the other. A phrase may go on from one to the next.
        classes: class -> the phrases that mean it. Letter case, plurals of the last word, repeated mentions
            and punctuation around a phrase are taken care of.
        content: [first, end) of the ids that hold the prompt, what comes before counting as start tokens; by default
            those between start token and end token.
        cut: where the content is given, whether more of the prompt may have come after it.

    A class that is not mentioned, or only beyond the end of the context, is absent from the result: the
    model has not read it either.

    Raises:
        ModelError: a tokenizer of another kind.
    """
    spell = _speller(tokenizer)
    if content is None:
        inside, starts, cut = _content(tokenizer, ids)
    else:
        inside, starts = tuple(range(*content)), tuple(range(content[0]))

    phrases = [phrase for phrases in classes.values() for phrase in phrases]
    if not phrases:
        return PromptTokens({}, inside, starts)
    added = set(tokenizer.get_added_vocab().values())
    text, owners = spell(tokenizer, added, [ids[position] for position in inside], cut)
    # A phrase is spelled by the same tokenizer, so that letter case and spaces agree.
    phrase_ids = tokenizer(phrases, add_special_tokens=False).input_ids
    spellings = iter([spell(tokenizer, added, ids, False)[0] for ids in phrase_ids])
    spelled = {label: [next(spellings) for _ in phrases] for label, phrases in classes.items()}
    # A phrase with an unknown token could be any word, so it is no mention.
    spelled = {label: [text for text in texts if _UNKNOWN not in text] for label, texts in spelled.items()}
    positions: dict[str, set[int]] = {}
    for mention in find_mentions(text, spelled):
        # A hyphen within a phrase belongs to the mention, but its token is not read.
        span = range(mention.start, mention.end)
        spelling = [k for k in span if not unicodedata.category(text[k]).startswith("P")]
        positions.setdefault(mention.label, set()).update(inside[owner] for k in spelling for owner in owners[k])
    located = {label: tuple(sorted(positions[label])) for label in classes if label in positions}
    return PromptTokens(located, inside, starts)


def _content(tokenizer: Any, ids: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """The positions of the prompt itself and of start tokens, and whether the prompt may go on beyond the last one."""
    content: list[int] = []
    starts: list[int] = []
    cut = False
    length = min(len(ids), int(tokenizer.model_max_length)) or 1
    for context in range(0, len(ids), length):
        stop = min(context + length, len(ids))
        first = context
        if ids[context] == getattr(tokenizer, "bos_token_id", None):
            starts.append(context)
            first += 1
        end = next((k for k in range(first, stop) if ids[k] == tokenizer.eos_token_id), stop)
        content += range(first, end)
        cut = end + 1 >= stop  # an end token in the last place of all says nothing of what follows
    return tuple(content), tuple(starts), cut


def joined(parts: Iterable[tuple[int, PromptTokens]]) -> PromptTokens:
    """One prompt as several tokenizers wrote it, each from a position of its own on: all their positions together.

    Where two encoders share positions, as in Stable Diffusion XL, a token of the one stands at the same place as
    a token of the other, and the class may have been mentioned to only one of them.
    """
    classes: dict[str, set[int]] = {}
    content, starts = set[int](), set[int]()
    for first, tokens in parts:
        content.update(first + position for position in tokens.content)
        starts.update(first + position for position in tokens.starts)
        for label, positions in tokens.classes.items():
            classes.setdefault(label, set()).update(first + position for position in positions)
    ordered = {label: tuple(sorted(positions)) for label, positions in classes.items()}
    return PromptTokens(ordered, tuple(sorted(content)), tuple(sorted(starts - content)))


def _speller(tokenizer: Any) -> Callable[[Any, set[int], Sequence[int], bool], _Spelling]:
    unknown = (None, tokenizer.unk_token_id)
    if tokenizer.convert_tokens_to_ids("a" + _WORD_END) not in unknown:
        return _spell_bpe
    if tokenizer.convert_tokens_to_ids(_WORD_START) not in unknown:
        return _spell_sentencepiece
    if tokenizer.convert_tokens_to_ids(_SPACE) not in unknown:
        return _spell_bytes
    raise ModelError(
        f"{type(tokenizer).__name__} marks neither the ends of words as CLIP's tokenizer does nor their starts as "
        "T5's, Qwen's and Mistral's do, so a prompt's words cannot be found in it; use a model with CLIP, T5, Qwen or "
        "Mistral text encoders"
    )


def _spell_bpe(tokenizer: Any, added: set[int], ids: Sequence[int], cut: bool) -> _Spelling:
    """The spelling of a run of CLIP's tokens. ``added`` are the ids of words that were added to the vocabulary,
    each a word of its own. A last word without its end was cut off by the end of the context and is left out."""
    text: list[str] = []
    owners: list[tuple[int, ...]] = []
    word, owner_of_byte = bytearray(), list[int]()
    for position, (token_id, token) in enumerate(zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)):
        whole = token_id in added or token.endswith(_WORD_END)
        if token_id in added:  # kept as it was added: its characters stand for themselves, not for bytes
            piece = unicodedata.normalize("NFC", token).encode()
        else:
            spelling = token.removesuffix(_WORD_END)
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


def _spell_sentencepiece(tokenizer: Any, added: set[int], ids: Sequence[int], cut: bool) -> _Spelling:
    """The spelling of a run of T5's tokens. Nothing marks the end of a word: where the run may be ``cut`` off by
    the end of the context, its last word may be the start of a longer one and is left out."""
    text: list[str] = []
    owners: list[tuple[int, ...]] = []
    last_word = 0
    for position, (token_id, token) in enumerate(zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)):
        if token_id == tokenizer.unk_token_id:
            token = _UNKNOWN
        elif token_id in added:
            # Mentions are counted in composed characters.
            token = f"{_WORD_START}{unicodedata.normalize('NFC', token)}{_WORD_START}"
        for character in token:
            if character == _WORD_START:
                last_word = len(text)
            text.append(" " if character == _WORD_START else character)
            owners.append(() if character == _WORD_START else (position,))
    end = last_word if cut else len(text)
    return "".join(text[:end]), owners[:end]


def _spell_bytes(tokenizer: Any, added: set[int], ids: Sequence[int], cut: bool) -> _Spelling:
    """The spelling of a run of a language model's tokens, whose bytes are the text as it was written. Where the run may
    be ``cut`` off, its last word is left out, as in SentencePiece."""
    written, owner_of_byte = bytearray(), list[int]()
    for position, (token_id, token) in enumerate(zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)):
        if token_id in added:
            piece = f" {token} ".encode()
        else:
            piece = b"".join(_BYTES.get(character) or character.encode() for character in token)
        written += piece
        owner_of_byte += [position] * len(piece)
    # An accent that was written apart is one character with its letter, since mentions are counted in such.
    clusters: list[tuple[str, tuple[int, ...]]] = []
    for character, owned in _characters(bytes(written), owner_of_byte):
        if clusters and unicodedata.combining(character):
            letter, before = clusters[-1]
            clusters[-1] = letter + character, tuple(dict.fromkeys((*before, *owned)))
        else:
            clusters.append((character, owned))
    spelled = [(character, owned) for text, owned in clusters for character in unicodedata.normalize("NFC", text)]
    end = len(spelled)
    while cut and end and not spelled[end - 1][0].isspace():
        end -= 1
    return (
        "".join(character for character, _ in spelled[:end]),
        [() if character.isspace() else owned for character, owned in spelled[:end]],
    )


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
#: How byte-level BPE writes the space before a word.
_SPACE = next(character for character, byte in _BYTES.items() if byte == b" ")
