"""What thresholds of confidence, one per class, would keep of one source's instances, before anything is stored."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.statistics.aggregate import rows
from diffucurate.plugin.statistics.counts import NO_CLASS
from diffucurate.plugin.statistics.histogram import Histogram, bar_of
from diffucurate.plugin.store.label_sources import instances_field


@dataclass(frozen=True)
class ThresholdCounts:
    """The instances that thresholds keep and all there are, and the images that keep one and those that have one."""

    instances: int
    of_instances: int
    images: int
    of_images: int


def confidences_by_class(samples: fo.Dataset | fo.DatasetView, source: str) -> dict[str, Histogram]:
    """Class -> the confidences of a source's instances of it, most instances first."""
    path = f"${instances_field(dataset_behind(samples), source)}.detections"
    keys = {"label": {"$ifNull": [f"{path}.label", NO_CLASS]}, "bar": bar_of(f"{path}.confidence")}
    bars: defaultdict[str, Counter[float | None]] = defaultdict(Counter)
    for group in rows(samples, [{"$unwind": path}, {"$group": {"_id": keys, "count": {"$sum": 1}}}]):
        bars[group["label"]][group.get("bar")] += group["count"]
    ordered = sorted(bars.items(), key=lambda item: (-item[1].total(), item[0]))
    return {label: Histogram.of(counts) for label, counts in ordered}


def count_kept(samples: fo.Dataset | fo.DatasetView, source: str, thresholds: Mapping[str, float]) -> ThresholdCounts:
    """Count what ``thresholds`` (class -> least confidence, in [0, 1]) keep.

    Classes without one are kept whole, and so is what has no confidence.
    """
    path = f"${instances_field(dataset_behind(samples), source)}.detections"
    least = {
        "$switch": {
            "branches": [
                {"case": {"$eq": ["$$it.label", {"$literal": label}]}, "then": value}
                for label, value in thresholds.items()
            ],
            "default": 0,
        }
    }
    confidence = {"$ifNull": ["$$it.confidence", 1]}
    kept = {"$gte": [confidence, least if thresholds else 0]}
    instances = {"$ifNull": [path, []]}
    groups = rows(
        samples,
        [
            {
                "$project": {
                    "all": {"$size": instances},
                    "kept": {"$size": {"$filter": {"input": instances, "as": "it", "cond": kept}}},
                }
            },
            {
                "$group": {
                    "_id": None,
                    "instances": {"$sum": "$kept"},
                    "of_instances": {"$sum": "$all"},
                    "images": {"$sum": {"$cond": [{"$gt": ["$kept", 0]}, 1, 0]}},
                    "of_images": {"$sum": {"$cond": [{"$gt": ["$all", 0]}, 1, 0]}},
                }
            },
        ],
    )
    names = ("instances", "of_instances", "images", "of_images")
    return ThresholdCounts(**{name: groups[0][name] if groups else 0 for name in names})


def with_thresholds(
    samples: fo.Dataset | fo.DatasetView, source: str, thresholds: Mapping[str, float]
) -> fo.DatasetView:
    """The instances that ``count_kept`` counts, and the images that keep one."""
    field = instances_field(dataset_behind(samples), source)
    rule: Any = F("label").is_in(list(thresholds)) == False  # noqa: E712  (a database expression)
    rule |= F("confidence").exists(False)
    for label, value in thresholds.items():
        rule |= (F("label") == label) & (F("confidence") >= value)
    return samples.filter_labels(field, rule)


def between(samples: fo.Dataset | fo.DatasetView, source: str, label: str, low: float, high: float) -> fo.DatasetView:
    """The instances of a class whose confidence is at least ``low`` and below ``high``: those that change side when a
    threshold moves from one to the other."""
    field = instances_field(dataset_behind(samples), source)
    rule = (F("label") == label) & (F("confidence") >= low) & (F("confidence") < high)
    return samples.filter_labels(field, rule)
