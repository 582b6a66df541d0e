"""What a class may be called."""

from __future__ import annotations

import re
import unicodedata

#: Names that mean pixels without a class.
RESERVED_CLASSES = frozenset({"background", "ignore"})

_MOST_LETTERS = 64


def class_name(phrase: str) -> str | None:
    """The class that bears a phrase's name, ``fire truck`` -> ``fire_truck``; None where the phrase gives none."""
    plain = unicodedata.normalize("NFKD", phrase).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lstrip("0123456789_")[:_MOST_LETTERS]
    return name if name and name.casefold() not in RESERVED_CLASSES else None
