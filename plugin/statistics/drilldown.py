"""The view behind a number of the panel: the samples that a row, a bar, a cell or some points stand for.

Instances stay as they are in the view picked from: only samples are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.statistics.histogram import in_bar
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.matches import MATCHED, ONLY_A, ONLY_B

if TYPE_CHECKING:
    Samples: TypeAlias = fo.Dataset | fo.DatasetView


def with_class(samples: Samples, sources: Sequence[str], label: str | None) -> fo.DatasetView:
    """Samples on which one of ``sources`` has an instance of a class, or of any class."""
    rule = None if label is None else F("label") == label
    return samples.match(F.any([_has(samples, source, rule) for source in sources]))


def with_confidence(samples: Samples, source: str, bar: int) -> fo.DatasetView:
    """Samples with an instance of ``source`` whose confidence falls into a bar of the histogram."""
    return samples.match(_has(samples, source, in_bar("confidence", bar)))


def with_agreement(samples: Samples, a: str, b: str, bar: int) -> fo.DatasetView:
    """Samples whose agreement falls into a bar of the histogram."""
    return samples.match(in_bar(field_names.agreement(a, b), bar))


def with_match(samples: Samples, a: str, b: str, label: str | None, kind: str | None) -> fo.DatasetView:
    """Samples with an instance of a class (or any) that is ``matched``, ``only_a`` or ``only_b`` (or any of these)."""
    key = field_names.evaluation(a, b)
    sides = {"matched": (a, MATCHED), "only_a": (a, ONLY_A), "only_b": (b, ONLY_B)}
    rules = []
    for source, match in sides.values() if kind is None else [sides[kind]]:
        rule = F(key) == match
        rules.append(_has(samples, source, rule if label is None else rule & (F("label") == label)))
    return samples.match(F.any(rules))


def with_attributes(samples: Samples, values: dict[str, str]) -> fo.DatasetView:
    """Samples with these values of these attributes."""
    return samples.match(F.all([F(f"{field_names.ATTRIBUTES}.{name}") == value for name, value in values.items()]))


def least_agreeing(samples: Samples, a: str, b: str) -> fo.DatasetView:
    """The samples that have a score, those that agree least first."""
    name = field_names.agreement(a, b)
    return samples.exists(name).sort_by(name)


def _has(samples: Samples, source: str, rule: Any | None) -> Any:
    detections = F(f"{instances_field(dataset_behind(samples), source)}.detections")
    return (detections if rule is None else detections.filter(rule)).length() > 0
