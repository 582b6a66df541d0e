"""Which words of a text mean which class. Works on text alone and knows nothing of tokens or recipes.

A phrase matches whole words, whatever their case, with the plural of its last word, and with hyphens,
underscores or any white space between its words. Where phrases overlap the longest wins, so that the
"truck" in "fire truck" belongs to whoever claims "fire truck". The first part of a compound is no mention, as the "man"
in "man-made", unless the compound says that the thing is there ("tree-lined") or its other part is a mention too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

# Scripts that write no spaces between words: each character counts as a word of its own.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+")
_GAP = re.compile(r"[\s_\-\u2010-\u2015]+")

_COMPOUND = re.compile(rf"[-\u2010\u2011]((?:(?![{_UNSPACED}])[^\W\d_])+)")

#: Last parts of compounds whose first part names what is in the image: a horse-drawn carriage comes with a horse.
_PRESENT = {
    "covered", "crowded", "decorated", "dotted", "drawn", "dusted", "filled", "flanked", "framed", "fringed", "laden",
    "lined", "loaded", "mounted", "packed", "powered", "pulled", "ridden", "riding", "scattered", "shaded", "strewn",
    "studded", "topped", "wielding", "wrapped",
}  # fmt: skip

_IRREGULAR_PLURALS = {
    "person": ("people", "persons"), "man": ("men",), "woman": ("women",), "child": ("children",),
    "foot": ("feet",), "tooth": ("teeth",), "goose": ("geese",), "mouse": ("mice",), "ox": ("oxen",),
    "sheep": ("sheep",), "deer": ("deer",), "fish": ("fish", "fishes"), "aircraft": ("aircraft",),
}  # fmt: skip


class Mention(NamedTuple):
    """``phrase`` of class ``label`` at characters [start, end) of ``normalised(text)``."""

    label: str
    phrase: str
    start: int
    end: int


class _Form(NamedTuple):
    """One way to write a phrase: its words, folded, and what stands between them."""

    words: tuple[str, ...]
    gaps: tuple[str, ...]
    label: str
    phrase: str
    exact: bool


def normalised(text: str) -> str:
    """The text in which mentions are counted: composed (NFC), with plain apostrophes."""
    return unicodedata.normalize("NFC", text).replace("\u2019", "'")


def word_forms(word: str) -> tuple[str, ...]:
    """A word and its English plurals, folded: ``bus`` -> ``bus, buses``, ``person`` -> ``person, people, persons``."""
    word = normalised(word).casefold()
    for singular, plurals in _IRREGULAR_PLURALS.items():
        if word == singular or (word.endswith(singular) and singular in ("man", "woman", "person", "child")):
            stem = word[: len(word) - len(singular)]
            regular = (word + "s",) if stem else ()  # firemen, but humans
            return tuple(dict.fromkeys([word, *(stem + plural for plural in plurals), *regular]))
    if re.search(r"(?:s|x|z|ch|sh)$", word):
        return word, word + "es"
    if re.search(r"[^aeiou]y$", word):
        return word, word[:-1] + "ies"
    if word.endswith("o"):
        return word, word + "s", word + "es"
    if word.endswith("fe"):
        return word, word + "s", word[:-2] + "ves"
    if word.endswith("f"):
        return word, word + "s", word[:-1] + "ves"
    return word, word + "s"


def phrase_forms(phrase: str) -> tuple[tuple[str, ...], ...]:
    """Every way a phrase is recognised, as tuples of folded words; empty for a phrase without letters or digits."""
    words = tuple(word.casefold() for word in _WORD.findall(normalised(phrase)))
    return tuple((*words[:-1], last) for last in word_forms(words[-1])) if words else ()


def find_mentions(text: str, classes: Mapping[str, Sequence[str]]) -> list[Mention]:
    """Every mention of a class in a text, from left to right, none overlapping another.

    Args:
        text: a prompt.
        classes: class name -> the phrases that mean it.
    """
    lexicon = _lexicon(tuple((label, tuple(phrases)) for label, phrases in classes.items()))
    text = normalised(text)
    words = [(match.group().casefold(), match.start(), match.end()) for match in _WORD.finditer(text)]
    found: list[tuple[int, int, _Form]] = []
    for first, (word, _, _) in enumerate(words):
        for form in lexicon.get(word, ()):
            last = first + len(form.words)
            if last > len(words) or any(words[first + k][0] != form.words[k] for k in range(1, len(form.words))):
                continue
            gaps = [text[words[k][2] : words[k + 1][1]] for k in range(first, last - 1)]
            if all(gap == own or _GAP.fullmatch(gap) for gap, own in zip(gaps, form.gaps, strict=True)):
                found.append((first, last, form))
    found.sort(key=lambda item: (item[0] - item[1], not item[2].exact, item[0]))
    taken: set[int] = set()
    mentions = []
    for first, last, form in found:
        if taken.isdisjoint(range(first, last)):
            taken.update(range(first, last))
            mentions.append(Mention(form.label, form.phrase, words[first][1], words[last - 1][2]))
    starts = {mention.start for mention in mentions}
    mentions = [mention for mention in mentions if not _modifies(text, mention, starts)]
    return sorted(mentions, key=lambda mention: mention.start)


def _modifies(text: str, mention: Mention, starts: set[int]) -> bool:
    """Whether a mention is the first part of a compound that names another thing; ``starts`` are those of mentions."""
    compound = _COMPOUND.match(text, mention.end)
    return compound is not None and compound[1].casefold() not in _PRESENT and compound.start(1) not in starts


def find_phrases(prompt: str, classes: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The classes a prompt mentions, each with those of its phrases that occur, both in the order of ``classes``."""
    found: dict[str, set[str]] = {}
    for mention in find_mentions(prompt, classes):
        found.setdefault(mention.label, set()).add(mention.phrase)
    return {
        label: tuple(phrase for phrase in phrases if phrase in found[label])
        for label, phrases in classes.items()
        if label in found
    }


@lru_cache(maxsize=64)
def _lexicon(classes: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, list[_Form]]:
    """First word -> the forms that begin with it."""
    lexicon: dict[str, list[_Form]] = {}
    for label, phrases in classes:
        for phrase in phrases:
            text = normalised(phrase)
            spans = [match.span() for match in _WORD.finditer(text)]
            gaps = tuple(text[left[1] : right[0]] for left, right in pairwise(spans))
            for index, words in enumerate(phrase_forms(phrase)):
                lexicon.setdefault(words[0], []).append(_Form(words, gaps, label, phrase, exact=index == 0))
    return lexicon
