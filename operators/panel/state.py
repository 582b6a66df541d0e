"""What is chosen in the panel; a choice that the dataset no longer offers is replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diffucurate.plugin.curation.rules import Rules
from diffucurate.plugin.statistics.snapshot import Pair, Snapshot

OVERVIEW, AGREEMENT, CLASSES, DISAGREEMENTS = "overview", "agreement", "classes", "disagreements"
COVERAGE, THRESHOLDS, DUPLICATES, HISTORY = "coverage", "thresholds", "duplicates", "history"
TABS = {
    OVERVIEW: "Overview", AGREEMENT: "Agreement", CLASSES: "Classes", DISAGREEMENTS: "Disagreements",
    COVERAGE: "Coverage", THRESHOLDS: "Thresholds", DUPLICATES: "Duplicates", HISTORY: "History",
}  # fmt: skip

#: Tabs on two sources that were compared, and those that need no labels.
ON_PAIRS, WITHOUT_LABELS = (AGREEMENT, CLASSES, DISAGREEMENTS), (DUPLICATES, HISTORY)

#: Between the two names of a pair in a drop-down; no source has a space in its name.
BETWEEN = " and "

#: The names of everything that is chosen.
NAMES = (
    "tab", "pair", "source", "x", "y", "page", "min_confidence", "min_agreement", "judged", "limited", "limits", "moved"
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Two compared sources, the one of them whose labels are judged, and the thresholds of these, in [0, 1]."""

    pair: Pair
    source: str
    min_confidence: float
    min_agreement: float

    @property
    def rules(self) -> Rules:
        """The thresholds as rules of a curation."""
        a, b = self.pair
        return Rules(
            source=self.source,
            against=b if self.source == a else a,
            min_confidence=self.min_confidence,
            min_agreement=self.min_agreement,
        )


@dataclass(frozen=True)
class Thresholds:
    """The source and class whose threshold is moved, the thresholds of the source's classes (in [0, 1]), and from where
    to where the last move went; None where there was none."""

    source: str
    label: str
    limits: dict[str, float]
    moved: tuple[float, float] | None

    @property
    def value(self) -> float:
        """The threshold of the class."""
        return self.limits.get(self.label, 0.0)


@dataclass(frozen=True)
class Settings:
    """The choices that are in force, None where there is nothing to choose from.

    ``axes`` are two attributes, across and down; ``page`` counts from 0.
    """

    tab: str
    page: int
    comparison: Comparison | None
    axes: tuple[str, str] | None

    @classmethod
    def read(cls, state: Callable[..., Any], snapshot: Snapshot) -> Settings:
        """From ``state(name)``; a choice that is gone is replaced by the first there is."""
        return cls(
            tab=state("tab") if state("tab") in TABS else OVERVIEW,
            page=max(0, int(state("page") or 0)),
            comparison=_comparison(state, snapshot.pairs),
            axes=_axes(state, snapshot.attributes),
        )


def _comparison(state: Callable[..., Any], pairs: list[Pair]) -> Comparison | None:
    if not pairs:
        return None
    pair = {BETWEEN.join(each): each for each in pairs}.get(state("pair"), pairs[0])
    low = [0.5 if state(name) is None else float(state(name)) for name in ("min_confidence", "min_agreement")]
    return Comparison(pair, state("source") if state("source") in pair else pair[0], *low)


def read_thresholds(state: Callable[..., Any], snapshot: Snapshot) -> Thresholds | None:
    """From ``state(name)``; None where no source gives confidences."""
    sources = snapshot.with_confidence
    if not sources:
        return None
    source = state("judged") if state("judged") in sources else sources[0]
    labels = list(snapshot.confidences_by_class(source))
    label = state("limited") if state("limited") in labels else labels[0]
    limits = (state("limits") or {}).get(source) or {}
    moved = state("moved") or (None, None, None)
    return Thresholds(source, label, dict(limits), moved[2] if moved[:2] == (source, label) else None)


def _axes(state: Callable[..., Any], attributes: list[str]) -> tuple[str, str] | None:
    if len(attributes) < 2:
        return None
    x = state("x") if state("x") in attributes else attributes[0]
    others = [name for name in attributes if name != x]
    return x, state("y") if state("y") in others else others[0]
