"""How many examples a word is learned from. Light: forms ask."""

from __future__ import annotations

from diffucurate.generator.errors import ImageError

#: Numbers of examples that a word is learned from: fewer do not separate the object from its surroundings, more are
#: rarely at hand.
FEWEST, MOST = 3, 50


def check_count(count: int) -> None:
    """See that a word can be learned from so many examples.

    Raises:
        ImageError: they are too few or too many.
    """
    if not FEWEST <= count <= MOST:
        raise ImageError(f"a word is learned from {FEWEST} to {MOST} examples, {count} were given")
