"""How far two label sources agree on each image of a view, and on which they agree least.

The score of an image is the one that ``compare`` stored; the counts beside it are of the view's own instances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo

from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.statistics.aggregate import rows
from diffucurate.plugin.statistics.histogram import Histogram, bar_of
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.matches import MATCHED, ONLY_A, ONLY_B

#: Points that a scatter shows at most: a browser draws as many without delay.
MOST_POINTS = 2000


@dataclass(frozen=True)
class AgreementScores:
    """The scores of a view's images: their histogram and mean, None where no image was compared."""

    histogram: Histogram
    mean: float | None


@dataclass(frozen=True)
class Scatter:
    """One point per image: its id, the source's mean confidence on it, and the agreement, both in [0, 1].

    ``total`` images have both; where they are too many to show, only every n-th of them has a point.
    """

    ids: tuple[str, ...]
    confidences: tuple[float, ...]
    agreements: tuple[float, ...]
    total: int


@dataclass(frozen=True)
class Disagreement:
    """An image on which two sources disagree: how many instances match, and the classes of those that do not."""

    id: str
    agreement: float
    prompt: str | None
    matched: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


@dataclass(frozen=True)
class MeanAgreement:
    """The mean score of some images that were compared, in [0, 1], and how many they are."""

    mean: float
    images: int


def agreement_scores(samples: fo.Dataset | fo.DatasetView, a: str, b: str) -> AgreementScores:
    """The scores of two sources that were compared."""
    score = f"${field_names.agreement(a, b)}"
    groups = rows(
        samples,
        [
            {"$project": {"_id": False, "score": score}},
            {"$group": {"_id": {"bar": bar_of("$score")}, "count": {"$sum": 1}, "sum": {"$sum": "$score"}}},
        ],
    )
    histogram = Histogram.of({group["bar"]: group["count"] for group in groups})
    total = sum(group["sum"] for group in groups)
    return AgreementScores(histogram, total / histogram.total if histogram.total else None)


def agreement_by_value(
    samples: fo.Dataset | fo.DatasetView, a: str, b: str, names: Sequence[str]
) -> dict[str, dict[str, MeanAgreement]]:
    """Attribute -> value -> how far two sources agree on its images, the least first; of each of the attributes
    ``names``."""
    score = field_names.agreement(a, b)
    table = {}
    for name in names:
        value = f"{field_names.ATTRIBUTES}.{name}"
        groups = rows(
            samples,
            [
                {"$match": {score: {"$type": "number"}, value: {"$type": "string"}}},
                {"$group": {"_id": f"${value}", "mean": {"$avg": f"${score}"}, "images": {"$sum": 1}}},
                {"$sort": {"mean": 1, "_id": 1}},
            ],
        )
        table[name] = {group["_id"]: MeanAgreement(group["mean"], group["images"]) for group in groups}
    return table


def scatter(samples: fo.Dataset | fo.DatasetView, a: str, b: str, source: str, *, most: int = MOST_POINTS) -> Scatter:
    """The mean confidence of ``source`` on each image against the agreement of ``a`` and ``b``.

    The mean, not the least: one doubtful instance among many should not decide where the image lies. Images on
    which ``source`` has no instances, or none with a confidence, have no point.
    """
    path = f"${instances_field(dataset_behind(samples), source)}.detections.confidence"
    step = {"$ceil": {"$divide": ["$total", most]}}
    points = rows(
        samples,
        [
            {"$project": {"score": f"${field_names.agreement(a, b)}", "confidence": {"$avg": path}}},
            {"$match": {"score": {"$type": "number"}, "confidence": {"$type": "number"}}},
            {"$setWindowFields": {"sortBy": {"_id": 1}, "output": {"place": {"$documentNumber": {}}}}},
            {"$setWindowFields": {"output": {"total": {"$count": {}}}}},
            {"$match": {"$expr": {"$eq": [{"$mod": [{"$subtract": ["$place", 1]}, step]}, 0]}}},
        ],
    )
    return Scatter(
        tuple(str(point["_id"]) for point in points),
        tuple(point["confidence"] for point in points),
        tuple(point["score"] for point in points),
        points[0]["total"] if points else 0,
    )


def disagreements(
    samples: fo.Dataset | fo.DatasetView, a: str, b: str, *, skip: int = 0, limit: int = 6
) -> list[Disagreement]:
    """The images on which two sources agree least, from the ``skip``-th on; images without a score are left out."""
    key, dataset = field_names.evaluation(a, b), dataset_behind(samples)
    paths = {name: f"${instances_field(dataset, name)}.detections" for name in (a, b)}

    def labels(name: str, match: str) -> dict[str, Any]:
        detections = {"$ifNull": [paths[name], []]}
        kept = {"$filter": {"input": detections, "as": "it", "cond": {"$eq": [f"$$it.{key}", match]}}}
        return {"$map": {"input": kept, "as": "it", "in": "$$it.label"}}

    documents = rows(
        samples,
        [
            {"$match": {field_names.agreement(a, b): {"$type": "number"}}},
            {
                "$project": {
                    "score": f"${field_names.agreement(a, b)}",
                    "prompt": f"${field_names.PROMPT}",
                    "matched": {"$size": labels(a, MATCHED)},
                    "only_a": labels(a, ONLY_A),
                    "only_b": labels(b, ONLY_B),
                }
            },
            {"$sort": {"score": 1, "_id": 1}},
            {"$skip": skip},
            {"$limit": limit},
        ],
    )
    return [
        Disagreement(
            str(row["_id"]), row["score"], row.get("prompt"), row["matched"], tuple(row["only_a"]), tuple(row["only_b"])
        )
        for row in documents
    ]
