"""The matches that a comparison leaves on instances, and the row that counts them.

``plugin.comparison`` writes them and ``plugin.statistics`` reads them again, for any view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: What FiftyOne's evaluation writes on an instance of ``a``, or of ``b``.
MATCHED, ONLY_A, ONLY_B = "tp", "fp", "fn"

#: How the last row and column of a confusion matrix are called.
NOTHING = "(nothing)"


@dataclass(frozen=True)
class ComparisonRow:
    """How two sources agree on one class, or on all of them.

    ``matched``, ``only_a`` and ``only_b`` count instances; ``mean_iou`` is the mean over the matched ones, None
    where there are none. ``ap`` is COCO's average precision of ``a`` with ``b`` as the reference, over IoU 0.50
    to 0.95; None where ``b`` has no instance or ``a`` no confidences, and in the rows of a view, for which it is
    not computed.
    """

    label: str
    matched: int
    only_a: int
    only_b: int
    mean_iou: float | None
    ap: float | None = None


@dataclass(frozen=True)
class ConfusionMatrix:
    """Which class of one source stands where another source has which.

    ``counts[i][j]`` instances are ``names[i]`` by ``a`` and ``names[j]`` by ``b``. Names end with ``NOTHING``: its row
    counts what ``b`` alone has (missed), its column what ``a`` alone has (extra).
    """

    a: str
    b: str
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, a: str, b: str, counted: Mapping[tuple[str | None, str | None], int], order: Sequence[str] = ()
    ) -> ConfusionMatrix:
        """From (class by ``a``, class by ``b``) -> instances, None standing for none; those of ``order`` first."""
        seen = {name for pair in counted for name in pair if name is not None}
        classes = [*(name for name in order if name in seen), *sorted(seen.difference(order))]
        names: list[str | None] = [*classes, None]
        return cls(a, b, tuple(classes), tuple(tuple(counted.get((x, y), 0) for y in names) for x in names))

    @property
    def names(self) -> tuple[str, ...]:
        """Of rows and columns: the classes, then ``NOTHING``."""
        return (*self.classes, NOTHING)
