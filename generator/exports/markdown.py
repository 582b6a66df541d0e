"""Markdown of texts and tables. Whatever a text holds is shown as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: Letters of a text that are shown at most.
_MOST_LETTERS = 300


def escaped(text: object) -> str:
    """A text on one line in which Markdown takes nothing for markup; a long one is cut."""
    line = " ".join(str(text).split())
    line = line if len(line) <= _MOST_LETTERS else f"{line[:_MOST_LETTERS]}..."
    return re.sub(r"([\\`*_\[\]<>~#|])|^(?=[-+])", r"\\\1", line)


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers stand to the right."""
    lines = [list(row) for row in rows]
    numbers = [bool(lines) and all(isinstance(row[i], int | float) for row in lines) for i in range(len(header))]
    rule = ["---:" if right else "---" for right in numbers]
    texts = [[_cell(value) for value in header], rule, *([_cell(value) for value in row] for row in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in texts)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value) if isinstance(value, int) else escaped(value)
