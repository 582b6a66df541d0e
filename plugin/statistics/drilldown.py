"""The view behind a number of the panel: exactly what a row, a bar, a cell or some points stand for.

A number of instances leads to these instances: the others of their source are hidden, those of other sources stay as
they are. A number of images leads to whole images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.text.class_names import folded
from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.statistics.aggregate import rows
from diffucurate.plugin.statistics.counts import NO_CLASS
from diffucurate.plugin.statistics.histogram import in_bar
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import compared, instances_field
from diffucurate.plugin.store.matches import MATCHED, ONLY_A, ONLY_B

if TYPE_CHECKING:
    Samples: TypeAlias = fo.Dataset | fo.DatasetView


def with_class(samples: Samples, sources: Sequence[str], label: str | None) -> fo.DatasetView:
    """The instances of a class, or of any class, that ``sources`` have; of these no others."""
    return _only(samples, dict.fromkeys(sources, None if label is None else _of_class([label])))


def with_confidence(samples: Samples, source: str, bar: int) -> fo.DatasetView:
    """The instances of ``source`` whose confidence falls into a bar of the histogram; of that source no others."""
    return _only(samples, {source: in_bar("confidence", bar)})


def with_agreement(samples: Samples, a: str, b: str, bar: int) -> fo.DatasetView:
    """Samples whose agreement falls into a bar of the histogram."""
    return samples.match(in_bar(field_names.agreement(a, b), bar))


def with_match(samples: Samples, a: str, b: str, label: str | None, kind: str | None) -> fo.DatasetView:
    """The instances of a class (or any) that are ``matched``, ``only_a`` or ``only_b`` (or any of these); of both
    sources no others. A match is an instance of each.
    """
    key = field_names.evaluation(a, b)
    rules = {}
    for source, alone, name in ((a, ONLY_A, "only_a"), (b, ONLY_B, "only_b")):
        marks = [mark for mark, its in ((MATCHED, "matched"), (alone, name)) if kind in (None, its)]
        rules[source] = F(key).is_in(marks)
        if label is not None and marks:
            # Of two that match, each spells the class its own way.
            spelled = [label] if source == a or MATCHED not in marks else _spellings(samples, source, label)
            rules[source] &= _of_class(spelled)
    return _only(samples, rules)


def worst_objects(samples: Samples, source: str, other: str, label: str | None, most: int) -> fo.DatasetView:
    """At most ``most`` instances of ``source``, of a class or any, that go least well with those of a source it was
    compared with, the least IoU first: each as a patch of its image.
    """
    dataset = dataset_behind(samples)
    field = instances_field(dataset, source)
    key = next(field_names.evaluation(*pair) for pair in compared(dataset) if set(pair) == {source, other})
    path = f"{field}.detections"
    rule: dict[str, Any] = {f"{path}.{key}": {"$type": "string"}}
    worst = rows(
        samples,
        [
            {"$unwind": f"${path}"},
            {"$match": rule if label is None else rule | {f"{path}.label": label}},
            {"$project": {"_id": f"${path}._id", "iou": {"$ifNull": [f"${path}.{key}_iou", 0]}}},
            {"$sort": {"iou": 1, "_id": 1}},
            {"$limit": most},
        ],
    )
    chosen = samples.select_labels(ids=[str(row["_id"]) for row in worst], fields=[field])
    return chosen.to_patches(field).sort_by(f"{field}.{key}_iou")


def with_attributes(samples: Samples, values: dict[str, str]) -> fo.DatasetView:
    """Samples with these values of these attributes."""
    return samples.match(F.all([F(f"{field_names.ATTRIBUTES}.{name}") == value for name, value in values.items()]))


def least_agreeing(samples: Samples, a: str, b: str) -> fo.DatasetView:
    """The samples that have a score, those that agree least first."""
    name = field_names.agreement(a, b)
    return samples.exists(name).sort_by(name)


def _only(samples: Samples, rules: Mapping[str, Any | None]) -> fo.DatasetView:
    """Of each source the instances that keep its rule (None: all), and the samples that have one of these."""
    view, dataset = samples.view(), dataset_behind(samples)
    fields = {source: instances_field(dataset, source) for source in rules}
    for source, rule in rules.items():
        if rule is not None:
            view = view.filter_labels(fields[source], rule, only_matches=False)
    return view.match(F.any([F(f"{field}.detections").length() > 0 for field in fields.values()]))


def _spellings(samples: Samples, source: str, label: str) -> list[str]:
    """The names by which a source's instances have a class."""
    names = samples.distinct(f"{instances_field(dataset_behind(samples), source)}.detections.label")
    return [label, *(name for name in names if name and folded(name) == folded(label))]


def _of_class(labels: Sequence[str]) -> Any:
    """Whether an instance has one of these classes; ``NO_CLASS`` stands for none."""
    return F("label").exists(False) if NO_CLASS in labels else F("label").is_in(list(dict.fromkeys(labels)))
