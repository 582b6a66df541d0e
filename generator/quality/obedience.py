"""Does an image show what its prompt asked for, and as many? Knows only names and counts."""

from __future__ import annotations

from collections.abc import Mapping


def obedience(asked: Mapping[str, int], found: Mapping[str, int]) -> float | None:
    """How far the objects found are those that were asked for, in [0, 1]; None where nothing was asked for.

    The mean over the classes asked for: 1 where as many were found as were asked for, 0 where none was, else the
    smaller number by the larger. Classes that were not asked for do not count: no prompt names all that an image shows.

    Args:
        asked: class -> number of objects, 0 for any number, as ``stated_counts`` reads it in a prompt.
        found: class -> number of objects that a label source found.
    """
    shares = []
    for label, wanted in asked.items():
        there = found.get(label, 0)
        shares.append(min(there, wanted) / max(there, wanted) if wanted else float(there > 0))
    return sum(shares) / len(shares) if shares else None
