"""What a class may be called, and which names mean one class."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

#: Names that mean pixels without a class.
RESERVED_CLASSES = frozenset({"background", "ignore"})

_MOST_LETTERS = 64
_NAME = re.compile(rf"[^\W\d_][\w \-]{{0,{_MOST_LETTERS - 1}}}")


def name_problem(name: object) -> str | None:
    """Why nothing may be a class of that name, and what would be right; None where it may.

    A name is part of a field's name, of a prompt and of a list on the command line.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.strip():
        return (
            f"a class must be up to {_MOST_LETTERS} letters, digits, spaces, hyphens and underscores and begin with a "
            "letter, as in fire truck"
        )
    if name.casefold() in RESERVED_CLASSES:
        return "the name is reserved for pixels without a class; choose another"
    return None


def twin_of(name: str, others: Iterable[str]) -> str | None:
    """Another name that differs only in capitals, or in what stands between words; None where there is none."""
    return next((other for other in others if other != name and folded(other) == folded(name)), None)


def phrases_of(classes: Mapping[str, str | Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Class -> its phrases; a text is one phrase, not its letters."""
    return {name: (phrases,) if isinstance(phrases, str) else tuple(phrases) for name, phrases in classes.items()}


def folded(name: str) -> str:
    """A name without what does not tell classes apart: capitals, and whether spaces, hyphens or underscores stand
    between its words. ``Traffic_Light`` and ``traffic light`` are one class."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", name)).strip().casefold()


def some_of(names: Iterable[str], most: int = 12) -> str:
    """Names for a message, with commas; of many the first ones, and how many more there are."""
    listed = [name if len(name) <= _MOST_LETTERS else f"{name[:_MOST_LETTERS]}..." for name in names]
    rest = len(listed) - most
    return ", ".join(listed if rest <= 1 else [*listed[:most], f"... and {rest} more"])


def class_name(phrase: str) -> str | None:
    """The class that bears a phrase's name, ``fire truck`` -> ``fire_truck``; None where the phrase gives none."""
    plain = unicodedata.normalize("NFKD", phrase).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lstrip("0123456789_")[:_MOST_LETTERS]
    return name if name and name.casefold() not in RESERVED_CLASSES else None
