"""Prompt templates: text in which ``{attribute}`` stands for a value, and nothing else can happen.

``{attribute=value}`` is that value, fixed: the prompt reads the same as with the plain text, and the image
still counts as one of that attribute. A template is data from a stranger, so it is taken apart here and never
handed to ``str.format``: attribute access, indexing, conversions and format specifications are refused.
``{{`` and ``}}`` are literal braces. Knows nothing of recipes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from string import Formatter
from types import MappingProxyType
from typing import NamedTuple


class Piece(NamedTuple):
    """Literal text and, after it, the attribute to put in (None at the end of a template)."""

    text: str
    attribute: str | None


@lru_cache(maxsize=1024)
def pieces(template: str) -> tuple[Piece, ...]:
    """Take a template apart; values that are fixed in it are text.

    Raises:
        ValueError: with a sentence that says what is not allowed and what to write instead.
    """
    result = []
    for text, field in _parsed(template):
        name, fixed, value = (field or "").partition("=")
        result.append(Piece(text + value, None) if field is None or fixed else Piece(text, name))
    return tuple(result)


@lru_cache(maxsize=1024)
def fixed_in(template: str) -> Mapping[str, str]:
    """The attributes whose value a template fixes, as in ``{colour=red}``, with that value.

    Raises:
        ValueError: as ``pieces``, and where an attribute would have two values.
    """
    found: dict[str, str] = {}
    for _, field in _parsed(template):
        name, fixed, value = (field or "").partition("=")
        if fixed and found.setdefault(name, value) != value:
            raise ValueError(f"gives '{name}' two values, '{found[name]}' and '{value}'; keep one of them")
    for name in attributes_of(template):
        if name in found:
            raise ValueError(f"has both {{{name}}} and {{{name}={found[name]}}}; keep one of them")
    return MappingProxyType(found)


def _parsed(template: str) -> Iterator[tuple[str, str | None]]:
    """Text and, after it, what stands in braces: an attribute, or an attribute, ``=`` and a value."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError:
        raise ValueError("has a brace without its partner; write {{ and }} for braces in the text") from None
    for text, field, specification, conversion in parsed:
        if field is None:
            yield text, None
            continue
        # Formatter takes what follows '!' and ':' apart, which a fixed value may well hold, as in {time=10:30}.
        whole = f"{field}{'!' + conversion if conversion else ''}{':' + specification if specification else ''}"
        name, fixed, value = whole.partition("=")
        if not name.isidentifier() or (fixed and (not value.strip() or "{" in value)):
            raise ValueError(
                f"'{{{whole}}}' is not allowed: a template can only put in attributes, "
                "as in {colour} or {colour=red}"
            )
        yield text, whole


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


def fix(template: str, values: Mapping[str, str]) -> str:
    """The template with those of its attributes that ``values`` names fixed to a value.

    Raises:
        ValueError: a value with a brace or an exclamation mark, which cannot stand in a template.
    """
    parts = []
    for text, field in _parsed(template):
        parts.append(text.replace("{", "{{").replace("}", "}}"))
        if field is not None and field in values:
            value = values[field]
            if any(sign in value for sign in "{}!"):
                raise ValueError(f"cannot hold the value '{value}', which has a brace or an exclamation mark in it")
            parts.append(f"{{{field}={value}}}")
        elif field is not None:
            parts.append(f"{{{field}}}")
    return "".join(parts)


def loosened(template: str) -> str:
    """The same template with the values that it fixes left open: ``{colour=red}`` becomes ``{colour}``."""
    parts = []
    for text, field in _parsed(template):
        parts.append(text.replace("{", "{{").replace("}", "}}"))
        if field is not None:
            parts.append(f"{{{field.partition('=')[0]}}}")
    return "".join(parts)
