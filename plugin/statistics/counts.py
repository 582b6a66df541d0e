"""The instances of each label source of a view, and the matches of two of them: one pass of the database per source.

The matches are those that ``compare`` left on the instances, so a view that hides instances hides their matches.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo

from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.statistics.aggregate import rows
from diffucurate.plugin.statistics.histogram import Histogram, bar_of
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.matches import MATCHED, ONLY_A, ONLY_B, ComparisonRow

#: The numbers of a row of matches, as the names of its fields.
MATCH_KINDS = ("matched", "only_a", "only_b")

#: Stands for the class of instances that have none.
NO_CLASS = "no class"


@dataclass(frozen=True)
class InstanceCounts:
    """The instances of one source: per class, most frequent first, and per interval of confidence."""

    source: str
    classes: dict[str, int]
    confidence: Histogram

    @property
    def instances(self) -> int:
        """In all classes together."""
        return sum(self.classes.values())


@dataclass(frozen=True)
class MatchCounts:
    """The matches of two sources per class, most instances first, and overall.

    ``not_compared`` counts the instances that were added after the comparison; the rows leave them out.
    """

    a: str
    b: str
    classes: tuple[ComparisonRow, ...]
    overall: ComparisonRow
    not_compared: int


def count_instances(samples: fo.Dataset | fo.DatasetView, source: str) -> InstanceCounts:
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
    return InstanceCounts(source, _most_first(classes), Histogram.of(bars))


def classes_by_frequency(counts: Sequence[InstanceCounts]) -> list[str]:
    """All classes that some source has instances of, the most frequent first."""
    totals: Counter[str] = Counter()
    for source_counts in counts:
        totals.update(source_counts.classes)
    return list(_most_first(totals))


def sources_with_confidence(counts: Sequence[InstanceCounts]) -> list[InstanceCounts]:
    """Those of sources that give confidences, in the same order."""
    return [source_counts for source_counts in counts if source_counts.confidence.total]


def _most_first(totals: Counter[str]) -> dict[str, int]:
    """By count, then by name."""
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


@dataclass
class _Sums:
    counts: Counter[str] = field(default_factory=Counter)
    iou: float = 0.0


def count_matches(samples: fo.Dataset | fo.DatasetView, a: str, b: str) -> MatchCounts:
    """Count the instances of two compared sources by class and by how they matched.

    Raises:
        DatasetError: the dataset lacks one of the sources.
    """
    key = field_names.evaluation(a, b)
    sums: dict[str, _Sums] = defaultdict(_Sums)
    not_compared = 0
    for source, alone in ((a, ONLY_A), (b, ONLY_B)):
        mark = f"{_it(samples, source)}.{key}"
        for group in _groups(samples, source, {"match": mark}, {"iou": {"$sum": f"{mark}_iou"}}):
            match, count = group.get("match"), group["count"]
            if match is None:
                not_compared += count
            elif match == alone:
                sums[group["label"]].counts[alone] += count
            elif source == a:  # a match is on the instances of both sources: count it once
                sums[group["label"]].counts[MATCHED] += count
                sums[group["label"]].iou += group["iou"]
    ordered = sorted(sums.items(), key=lambda item: (-item[1].counts.total(), item[0]))
    total = _Sums()
    for _, part in ordered:
        total.counts += part.counts
        total.iou += part.iou
    classes = tuple(_row(label, part) for label, part in ordered)
    return MatchCounts(a, b, classes, _row("All classes", total), not_compared)


def _groups(
    samples: fo.Dataset | fo.DatasetView, source: str, by: dict[str, Any], sums: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """``count`` and ``sums`` of a source's instances by label and ``by``, expressions over ``_it(...)``."""
    it = _it(samples, source)
    keys = {"label": {"$ifNull": [f"{it}.label", NO_CLASS]}, **by}
    return rows(samples, [{"$unwind": it}, {"$group": {"_id": keys, "count": {"$sum": 1}, **(sums or {})}}])


def _it(samples: fo.Dataset | fo.DatasetView, source: str) -> str:
    """The database's path of one instance of a source."""
    return f"${instances_field(dataset_behind(samples), source)}.detections"


def _row(label: str, sums: _Sums) -> ComparisonRow:
    matched = sums.counts[MATCHED]
    mean_iou = sums.iou / matched if matched else None
    return ComparisonRow(label, matched, sums.counts[ONLY_A], sums.counts[ONLY_B], mean_iou)
