"""Histograms over [0, 1] that the database counts, and the expression that finds the values in one of their bars.

Both put a value into the same bar, so a bar's count is the number of values that the view behind it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fiftyone import ViewField as F

#: Bars of equal width from 0 to 1.
BINS = 20


@dataclass(frozen=True)
class Histogram:
    """Counts per bar, ``BINS`` of them; bar ``i`` holds values in [i / BINS, (i + 1) / BINS), the last also 1.

    ``without`` counts what has no value.
    """

    counts: tuple[int, ...]
    without: int = 0

    @property
    def total(self) -> int:
        """The number of values in all bars."""
        return sum(self.counts)

    @classmethod
    def of(cls, counted: Mapping[float | None, int]) -> Histogram:
        """From bar, as ``bar_of`` numbers them, -> count; values outside of [0, 1] go to the bar at that end."""
        counts = [0] * BINS
        for bar, count in counted.items():
            if bar is not None:
                counts[min(max(int(bar), 0), BINS - 1)] += count
        return cls(tuple(counts), counted.get(None, 0))


def bar_of(value: str) -> dict[str, Any]:
    """The database's expression for the bar of a value, null where there is none.

    Kept short, because the database computes it for every instance of a dataset.
    """
    return {"$floor": {"$multiply": [value, BINS]}}


def in_bar(field: str, index: int) -> Any:
    """Whether ``field`` falls into a bar, as an expression for a view.

    Raises:
        ValueError: there is no such bar.
    """
    if not 0 <= index < BINS:
        raise ValueError(f"bar {index} is none of 0 to {BINS - 1}")
    return F(field).is_number() & ((F(field) * BINS).floor().min(BINS - 1).max(0) == index)


def edges(index: int) -> tuple[float, float]:
    """Where a bar begins and ends."""
    return index / BINS, (index + 1) / BINS
