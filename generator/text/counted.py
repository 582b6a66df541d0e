"""A number with its noun, as in ``1 image`` and ``1,200 images``."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """The number and the noun in the right number; ``plural`` where it is not the noun with an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
