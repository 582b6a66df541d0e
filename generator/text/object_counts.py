"""How many objects of a class a text says there are. Works on text alone; its number words are English.

"Two red cars" and "a red car and a blue car" both say two. Only a number or an indefinite article before a mention
counts: "the car", "cars" and a bare "car" say nothing new, and "a car's door" is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from diffucurate.generator.text.class_mentions import find_mentions, normalised

_ARTICLES = frozenset({"a", "an", "another", "one"})
_NUMBERS = {
    word: number
    for number, word in enumerate(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), 2)
} | {str(number): number for number in range(2, 11)}
#: "A pair of" and what else means two.
_TWOS = frozenset({"couple", "pair"})

#: A noun with its adjectives begins after these.
_BREAKS = frozenset({
    "above", "against", "and", "at", "behind", "below", "beside", "between", "by", "for", "from", "has", "have", "in",
    "inside", "into", "is", "are", "near", "on", "onto", "or", "outside", "over", "past", "than", "through", "to",
    "under", "while", "with", "without",
})  # fmt: skip

#: How many words before a mention can state its number, and what ends them: a sign, or a weight such as 1.3.
_REACH, _SIGN = 4, re.compile(r"\d*\.\d+|[^\w\s'-]")


def object_counts(text: str, classes: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many objects of each class that ``text`` mentions it says there are, 1 at least.

    Args:
        text: a prompt or caption.
        classes: class name -> the phrases that mean it.
    """
    return {label: max(1, count) for label, count in stated_counts(text, classes).items()}


def stated_counts(text: str, classes: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """As ``object_counts``, but 0 for a class that ``text`` mentions without a number, as in "cars" or "the car"."""
    counts: dict[str, int] = {}
    plain = normalised(text)
    for mention in find_mentions(text, classes):
        before = _SIGN.split(plain[: mention.start])[-1].casefold().split()
        number = 0 if plain.startswith("'s", mention.end) else _number(before[-_REACH:])
        counts[mention.label] = counts.get(mention.label, 0) + number
    return counts


def _number(words: Sequence[str]) -> int:
    """The number that the words before a noun state, 0 where they state none."""
    number = 0
    for word, previous, following in zip(words, ["", *words], [*words[1:], ""], strict=False):
        if word in _BREAKS:
            number = 0
        elif word in _TWOS and following == "of":
            number = 2
        elif word in _ARTICLES:
            number = 1
        elif previous not in _ARTICLES:  # as in "a two storey house"
            number = _NUMBERS.get(word, number)
    return number
