"""Prompt templates: text in which ``{attribute}`` stands for a value, and nothing else can happen.

A template is data from a stranger, so it is taken apart here and never handed to ``str.format``:
attribute access, indexing, conversions and format specifications are refused. ``{{`` and ``}}`` are
literal braces. Knows nothing of recipes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from string import Formatter
from typing import NamedTuple


class Piece(NamedTuple):
    """Literal text and, after it, the attribute to put in (None at the end of a template)."""

    text: str
    attribute: str | None


@lru_cache(maxsize=1024)
def pieces(template: str) -> tuple[Piece, ...]:
    """Take a template apart.

    Raises:
        ValueError: with a sentence that says what is not allowed and what to write instead.
    """
    try:
        parsed = list(Formatter().parse(template))
    except ValueError:
        raise ValueError("has a brace without its partner; write {{ and }} for braces in the text") from None
    result = []
    for text, field, specification, conversion in parsed:
        if field is None:
            result.append(Piece(text, None))
            continue
        if conversion or specification or not field.isidentifier():
            raise ValueError(
                f"'{{{field}{'!' + conversion if conversion else ''}{':' + specification if specification else ''}}}' "
                "is not allowed: a template can only put in attributes, as in {colour}"
            )
        result.append(Piece(text, field))
    return tuple(result)


def attributes_of(template: str) -> tuple[str, ...]:
    """The attributes a template uses, each once, in the order of their first use."""
    return tuple(dict.fromkeys(piece.attribute for piece in pieces(template) if piece.attribute is not None))


def fill(template: str, values: Mapping[str, str]) -> str:
    """The prompt for one choice of values. Runs of white space, line breaks included, become one space."""
    parts = []
    for text, attribute in pieces(template):
        parts.append(text)
        if attribute is not None:
            parts.append(values[attribute])
    return " ".join("".join(parts).split())
