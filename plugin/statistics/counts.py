"""What each label source found, and what two of them found together: one pass of the database for each source.

The matches are those that ``compare`` left on the instances, so a view that hides instances hides their matches.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo

from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.statistics.aggregate import rows
from diffucurate.plugin.statistics.histogram import Histogram, bar_of
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import instances_field

#: What FiftyOne's evaluation writes on an instance of ``a``, or of ``b``.
MATCHED, ONLY_A, ONLY_B = "tp", "fp", "fn"


@dataclass(frozen=True)
class Found:
    """What one source found: instances per class, most frequent first, and how sure it was of them."""

    source: str
    classes: dict[str, int]
    confidence: Histogram

    @property
    def instances(self) -> int:
        """In all classes together."""
        return sum(self.classes.values())


@dataclass(frozen=True)
class MatchRow:
    """One class, or all: instances that both found, that only one did, and the mean IoU of the former."""

    label: str
    matched: int
    only_a: int
    only_b: int
    mean_iou: float | None


@dataclass(frozen=True)
class Matches:
    """The two sources' matches per class, most instances first, and overall.

    ``unmatched_yet`` counts instances that came after the comparison, which knows nothing of them.
    """

    a: str
    b: str
    classes: tuple[MatchRow, ...]
    overall: MatchRow
    unmatched_yet: int


def found(samples: fo.Dataset | fo.DatasetView, source: str) -> Found:
    """Count the instances of a source by class and by confidence.

    Raises:
        DatasetError: the dataset has no such source.
    """
    groups = _groups(samples, source, {"bar": bar_of(f"{_it(samples, source)}.confidence")})
    classes: Counter[str] = Counter()
    bars: Counter[float | None] = Counter()
    for group in groups:
        classes[group["label"]] += group["count"]
        bars[group["bar"]] += group["count"]
    return Found(source, dict(sorted(classes.items(), key=lambda item: (-item[1], item[0]))), Histogram.of(bars))


@dataclass
class _Sums:
    counts: Counter[str] = field(default_factory=Counter)
    iou: float = 0.0


def matches(samples: fo.Dataset | fo.DatasetView, a: str, b: str) -> Matches:
    """Count the instances of two compared sources by class and by how they matched.

    Raises:
        DatasetError: the dataset lacks one of the sources.
    """
    key = field_names.evaluation(a, b)
    sums: dict[str, _Sums] = defaultdict(_Sums)
    unmatched_yet = 0
    for source, alone in ((a, ONLY_A), (b, ONLY_B)):
        mark = f"{_it(samples, source)}.{key}"
        for group in _groups(samples, source, {"match": mark}, {"iou": {"$sum": f"{mark}_iou"}}):
            match, count = group.get("match"), group["count"]
            if match is None:
                unmatched_yet += count
            elif match == alone:
                sums[group["label"]].counts[alone] += count
            elif source == a:  # what both found is on both: count it once
                sums[group["label"]].counts[MATCHED] += count
                sums[group["label"]].iou += group["iou"]
    ordered = sorted(sums.items(), key=lambda item: (-item[1].counts.total(), item[0]))
    total = _Sums()
    for _, part in ordered:
        total.counts += part.counts
        total.iou += part.iou
    return Matches(a, b, tuple(_row(label, part) for label, part in ordered), _row("All classes", total), unmatched_yet)


def _groups(
    samples: fo.Dataset | fo.DatasetView, source: str, by: dict[str, Any], sums: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """``count`` and ``sums`` of a source's instances by label and ``by``, expressions over ``_it(...)``."""
    it = _it(samples, source)
    keys = {"label": {"$ifNull": [f"{it}.label", "no class"]}, **by}
    return rows(samples, [{"$unwind": it}, {"$group": {"_id": keys, "count": {"$sum": 1}, **(sums or {})}}])


def _it(samples: fo.Dataset | fo.DatasetView, source: str) -> str:
    """The database's path of one instance of a source."""
    return f"${instances_field(dataset_behind(samples), source)}.detections"


def _row(label: str, sums: _Sums) -> MatchRow:
    matched = sums.counts[MATCHED]
    return MatchRow(label, matched, sums.counts[ONLY_A], sums.counts[ONLY_B], sums.iou / matched if matched else None)
