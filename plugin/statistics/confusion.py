"""Which class of one source stands where another has which, for any view, and the instances behind each count.

``compare`` leaves on each instance the class that the other source has at its place; a view that hides instances hides
their counts.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.text.class_names import folded
from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.statistics.aggregate import rows
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.matches import NOTHING, ConfusionMatrix

Samples: TypeAlias = fo.Dataset | fo.DatasetView


def confusion_matrix(samples: Samples, a: str, b: str) -> ConfusionMatrix:
    """The matrix of two sources that were compared with marks; names that are spelled in different ways are one class.

    Raises:
        DatasetError: the dataset lacks a source, or nothing was marked.
    """
    dataset = dataset_behind(samples)
    order = list(read_classes(dataset))
    names = {folded(name): name for name in reversed(order)}
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for source, other in ((a, b), (b, a)):
        path = _path(dataset, source, other)
        keys = {
            "own": f"${path}.label",
            "there": f"${path}.{field_names.class_in(other)}",
            "compared": f"${path}.{field_names.evaluation(a, b)}",  # only instances that were compared have it
        }
        stages: list[dict[str, Any]] = [{"$unwind": f"${path}"}, {"$group": {"_id": keys, "count": {"$sum": 1}}}]
        for group in rows(samples, stages):
            own, there = (
                group.get(key) and names.setdefault(folded(group[key]), group[key]) for key in ("own", "there")
            )
            if own is None or group.get("compared") is None or (source == b and there is not None):
                continue  # a pair is on the instances of both: it is counted once
            counts[(own, there) if source == a else (None, own)] += group["count"]
    return ConfusionMatrix.of(a, b, counts, order)


def with_confusion(samples: Samples, a: str, b: str, row: str, column: str) -> fo.DatasetView:
    """The instances behind the count in a row (class by ``a``) and column (class by ``b``), and no others of theirs.

    Args:
        samples: a dataset or view.
        a, b: sources that were compared with marks.
        row, column: of ``ConfusionMatrix.names``; ``NOTHING`` stands for none.
    """
    view = samples.view()
    dataset = dataset_behind(samples)
    sides = ((a, b, row, column), (b, a, column, row))
    paths = {source: _path(dataset, source, other) for source, other, _, _ in sides}
    named = [
        f"{paths[source]}.{name}" for source, other, _, _ in sides for name in ("label", field_names.class_in(other))
    ]
    # All at once, which the database does side by side.
    spelled = dict(zip(named, samples.aggregate([fo.Distinct(path) for path in named]), strict=True))
    for source, other, own, there in sides:
        path, marks = paths[source], field_names.class_in(other)
        labels = [name for name in spelled[f"{path}.label"] if name and folded(name) == folded(own)]
        meant = [name for name in spelled[f"{path}.{marks}"] if name and folded(name) == folded(there)]
        place = F(marks).exists(False) if there == NOTHING else F(marks).is_in(meant)
        rule = F("label").is_in(labels) & place & F(field_names.evaluation(a, b)).exists()
        view = view.filter_labels(instances_field(dataset, source), rule, only_matches=False)
    return view.match(F.any([F(path).length() > 0 for path in paths.values()]))


def confusion_ids(samples: Samples, a: str, b: str, row: str, column: str) -> list[str]:
    """The ids of the samples of ``with_confusion``."""
    identifiers: list[str] = with_confusion(samples, a, b, row, column).values("id")
    return identifiers


def _path(dataset: fo.Dataset, source: str, other: str) -> str:
    path = f"{instances_field(dataset, source)}.detections"
    if not dataset.has_sample_field(f"{path}.{field_names.class_in(other)}"):
        raise DatasetError(f"'{source}' and '{other}' were not compared with marks yet; run compare with both first")
    return path
