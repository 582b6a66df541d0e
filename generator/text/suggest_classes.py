"""What templates show, guessed from their grammar: the classes that a person most likely wants labelled.

A template is cut where prepositions, participles, commas and "and" stand; the last word of a piece is what it
is about. Pieces that say where or when ("on a road", "at {time}") and words such as "photo" do not count. It is
a guess for English, to be offered for correction; it knows no dictionary and no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from diffucurate.generator.text.class_mentions import phrase_forms
from diffucurate.generator.text.class_names import class_name
from diffucurate.generator.text.templates import pieces

_DETERMINERS = frozenset({
    "a", "an", "the", "one", "two", "three", "four", "five", "six", "some", "many", "several", "his", "her", "their",
})  # fmt: skip
#: What follows says where, when or how, not what.
_SCENERY = frozenset({
    "at", "by", "during", "for", "from", "in", "inside", "into", "on", "onto", "over", "outside", "through", "to",
    "under", "is", "are", "that", "which", "who",
})  # fmt: skip
_SUBJECT = frozenset({"and", "behind", "beside", "between", "near", "of", "or", "with", "without"})
_IMAGE_NOUNS = frozenset({
    "close-up", "drawing", "illustration", "image", "painting", "photo", "photograph", "picture", "portrait",
    "render", "rendering", "scene", "shot", "sketch", "view",
})  # fmt: skip
_TOKEN = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[^\w\s]")


class _Token(NamedTuple):
    """A word, lower case, a sign, or an attribute with whatever letters touch it."""

    text: str
    attribute: str | None


def likely_classes(templates: Sequence[str], attributes: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Class -> phrases, in the order of the templates; values that mean the same share a class.

    Templates that cannot be taken apart and attributes without values give nothing.
    """
    found: dict[str, list[str]] = {}
    taken: set[tuple[str, ...]] = set()
    for noun in dict.fromkeys(noun for template in templates for noun in _nouns(template, attributes)):
        forms, name = phrase_forms(noun), class_name(noun)
        if name is None or name in found or noun.casefold() in _IMAGE_NOUNS or not taken.isdisjoint(forms):
            continue
        taken.update(forms)
        found[name] = [noun]
    return found


def _nouns(template: str, attributes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for token in _subjects(template):
        if token.attribute is None:
            yield token.text
        else:
            yield from attributes.get(token.attribute, ())


def _subjects(template: str) -> Iterator[_Token]:
    """The last token of each piece that names something to be seen."""
    piece: list[_Token] = []
    counts, anything = True, True  # the first piece may begin with any word, later ones need an article
    for token in [*_tokens(template), _Token(".", None)]:
        word = token.text if token.attribute is None else ""
        if not (word in _SCENERY or word in _SUBJECT or _is_participle(word) or (word and not word[0].isalnum())):
            piece.append(token)
            continue
        if counts and piece and (anything or piece[0].text in _DETERMINERS) and piece[-1].text not in _DETERMINERS:
            yield piece[-1]
        # "in front of a house" is still a place.
        counts = counts if word == "of" else word not in _SCENERY
        anything = word in ("of", "and", "or")
        piece = []


def _is_participle(word: str) -> bool:
    return len(word) > 4 and word.endswith(("ing", "ed"))


def _tokens(template: str) -> list[_Token]:
    try:
        parts = pieces(template)
    except ValueError:
        return []
    tokens: list[_Token] = []
    glued = False
    for text, attribute in parts:
        words = [_Token(match.group().casefold(), None) for match in _TOKEN.finditer(text)]
        if glued and text[:1].isalnum():
            words = words[1:]  # the "s" of "{object}s"
        tokens += words
        if attribute is not None:
            tokens.append(_Token("", attribute))
        glued = attribute is not None
    return tokens
