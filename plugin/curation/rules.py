"""What makes a sample good enough: the rules of a curation as one config, and as expressions of the database.

Knows nothing of how the samples that pass are chosen or kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.label_sources import instances_field

#: Least and greatest value of a score; None leaves that side open.
Limits = tuple[float | None, float | None]

#: The verdict on a sample that breaks no rule.
KEPT = "kept"

#: The verdict on a sample that the source has not labelled.
UNLABELLED = "unlabelled"

_SHARE = "give a number from 0 to 1"


@dataclass(frozen=True)
class Rules:
    """The rules of one curation; what is None, empty or False is no rule.

    ``scores`` maps numeric sample fields to their limits. ``max_per_class`` is a number of images.
    ``near_duplicates`` is a distance or, as True, the usual one; ``embeddings`` says what it is measured on.

    Raises:
        InvalidSetting: a number out of range, limits that leave nothing, or half a pair of rules.
    """

    source: str
    min_confidence: float | None = None
    min_agreement: float | None = None
    against: str | None = None
    classes: Sequence[str] | None = None
    min_area: float | None = None
    max_area: float | None = None
    scores: Mapping[str, Limits] = field(default_factory=dict)
    max_per_class: int | None = None
    exact_duplicates: bool = False
    near_duplicates: float | bool = False
    embeddings: str | None = None

    def __post_init__(self) -> None:
        for name in ("min_confidence", "min_agreement", "min_area", "max_area"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 <= value <= 1):
                raise InvalidSetting(name, value, _SHARE)
        if self.min_area is not None and self.max_area is not None and self.min_area > self.max_area:
            raise InvalidSetting(
                "min_area", self.min_area, f"it must not exceed the maximum area, which is {self.max_area}"
            )
        if self.min_agreement is not None and self.against is None:
            raise InvalidSetting("against", None, "name the label source that min_agreement is about, such as 'yolov8'")
        if self.against is not None and self.min_agreement is None:
            raise InvalidSetting("min_agreement", None, f"say how far '{self.against}' must agree, from 0 to 1")
        if self.against is not None and self.against == self.source:
            raise InvalidSetting("against", self.against, "name a source other than the one that is judged")
        if self.classes is not None and not self.classes:
            raise InvalidSetting("classes", [], "name at least one class, or leave the rule out")
        for name, limits in self.scores.items():
            _check_limits(f"scores.{name}", limits)
        limit = self.max_per_class
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise InvalidSetting("max_per_class", limit, "give a whole number of images, at least 1")
        near = self.near_duplicates
        if not isinstance(near, bool) and not (_is_number(near) and 0 < near <= 2):
            raise InvalidSetting("near_duplicates", near, "give a distance above 0 and at most 2")
        if self.embeddings is not None and near is False:
            raise InvalidSetting("near_duplicates", False, f"say how near counts, or leave out '{self.embeddings}'")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {entry.name: getattr(self, entry.name) for entry in dataclass_fields(self)}
        plain["classes"] = None if self.classes is None else list(self.classes)
        plain["scores"] = {name: list(limits) for name, limits in self.scores.items()}
        return plain

    def describe(self) -> str:
        """The rules in one line of plain words, as they stand under a saved view's name."""
        area = self.min_area is not None or self.max_area is not None
        nearness = "" if isinstance(self.near_duplicates, bool) else f" nearer than {self.near_duplicates}"
        measure = f" by {self.embeddings}" if self.embeddings else ""
        said = {
            f"labels of {self.source}": True,
            f"confidence at least {self.min_confidence}": self.min_confidence is not None,
            f"agreement with {self.against} at least {self.min_agreement}": self.against is not None,
            f"classes {' and '.join(self.classes or ())}": self.classes is not None,
            f"area {_span(self.min_area, self.max_area)}": area,
            **{f"{name} {_span(*limits)}": True for name, limits in self.scores.items()},
            "no exact copies": self.exact_duplicates,
            f"no near-duplicates{nearness}{measure}": self.near_duplicates is not False,
            f"at most {self.max_per_class} images per class": self.max_per_class is not None,
        }
        return ", ".join(text for text, holds in said.items() if holds)


class BoundRules:
    """Rules and the fields of one dataset that they are about.

    ``instances`` is the Detections field that is judged, ``polygons`` the source's own outlines of the same, None
    where there are none.

    Raises:
        DatasetError: a field, a comparison or an area that the dataset lacks.
        InvalidSetting: a class or score that the dataset does not have.
    """

    def __init__(self, dataset: fo.Dataset, rules: Rules) -> None:
        self.dataset, self.rules = dataset, rules
        self.instances = instances_field(dataset, rules.source)
        outlines = field_names.polygons(rules.source)
        self.polygons = outlines if dataset.has_sample_field(outlines) else None
        self.agreement = None if rules.against is None else _agreement_field(dataset, rules.source, rules.against)
        self._check_classes()
        known = score_fields(dataset)
        for name in rules.scores:
            if name not in known:
                there = f"there are {', '.join(known)}" if known else "there are none yet"
                raise InvalidSetting(f"scores.{name}", name, f"the dataset has no such field of numbers; {there}")
        areas = f"{self.instances}.detections.{field_names.AREA}"
        if (rules.min_area is not None or rules.max_area is not None) and not dataset.has_sample_field(areas):
            raise DatasetError(
                f"the instances in '{self.instances}' have no '{field_names.AREA}'; label with '{rules.source}' again"
            )

    def _check_classes(self) -> None:
        if self.rules.classes is None:
            return
        known = classes_in(self.dataset, self.instances)
        for label in self.rules.classes:
            if label not in known:
                raise InvalidSetting("classes", label, f"the dataset has no such class; there are {', '.join(known)}")

    def instance_rule(self) -> Any:
        """What each instance must pass, as one expression on it; None where there is no such rule."""
        parts = [part for _, part in self._on_instances()]
        return F.all(parts) if parts else None

    def names(self) -> list[str]:
        """The rules that ``verdict`` can name, in the order in which they are tried."""
        return [rule for rule, _ in self._on_samples()]

    def verdict(self) -> Any:
        """One expression on a sample: ``KEPT``, or the first rule it breaks.

        Rules on the whole sample come first, then those on instances: ``confidence`` is broken where no instance
        is sure enough, ``area`` where none of the sure ones of the right class has the right size.
        """
        verdict = KEPT
        for rule, passed in reversed(list(self._on_samples())):
            verdict = passed.if_else(verdict, rule)
        return verdict

    def _on_samples(self) -> Iterator[tuple[str, Any]]:
        yield UNLABELLED, F(self.instances) != None  # noqa: E711  (a database expression)
        if self.agreement is not None:
            yield "agreement", F(self.agreement) >= self.rules.min_agreement
        for name, limits in self.rules.scores.items():
            low, high = limits
            # The database holds null and NaN for less than any number: with a lower limit they drop out.
            within = F(name) >= (-math.inf if low is None else low)
            yield f"scores.{name}", within if high is None else within & (F(name) <= high)
        found, parts = F(f"{self.instances}.detections"), []
        for rule, part in self._on_instances():
            parts.append(part)
            yield rule, found.filter(F.all(parts)).length() > 0

    def _on_instances(self) -> Iterator[tuple[str, Any]]:
        rules = self.rules
        if rules.min_confidence is not None:
            # Without a confidence, as ground truth is, an instance counts as certain.
            yield "confidence", F("confidence").exists(False) | (F("confidence") >= rules.min_confidence)
        if rules.classes is not None:
            yield "classes", F("label").is_in(list(rules.classes))
        if rules.min_area is not None or rules.max_area is not None:
            low = F(field_names.AREA) >= (0 if rules.min_area is None else rules.min_area)
            yield "area", low if rules.max_area is None else low & (F(field_names.AREA) <= rules.max_area)


def score_fields(dataset: fo.Dataset) -> list[str]:
    """The sample fields that hold one number each, in the order of the schema."""
    return list(dataset.get_field_schema(ftype=(fo.FloatField, fo.IntField)))


def classes_in(dataset: fo.Dataset, instances: str) -> list[str]:
    """The dataset's classes in the order of their ids, then any others that occur in the field ``instances``."""
    return list(dict.fromkeys([*read_classes(dataset), *dataset.distinct(f"{instances}.detections.label")]))


def _agreement_field(dataset: fo.Dataset, source: str, against: str) -> str:
    """Either comparison of the two will do; the one that was asked for goes first."""
    for name in (field_names.agreement(source, against), field_names.agreement(against, source)):
        if dataset.has_sample_field(name):
            return name
    raise DatasetError(f"sources '{source}' and '{against}' were not compared yet; run compare with both first")


def _check_limits(name: str, limits: Limits) -> None:
    remedy = "give a least and a greatest value, None where there is none, as in (0.2, None)"
    if not isinstance(limits, Sequence) or len(limits) != 2:
        raise InvalidSetting(name, limits, remedy)
    low, high = limits
    for value in (low, high):
        if value is not None and not _is_number(value):
            raise InvalidSetting(name, value, "give a number")
    if low is None and high is None:
        raise InvalidSetting(name, limits, remedy)
    if low is not None and high is not None and low > high:
        raise InvalidSetting(name, low, f"the least value must not exceed the greatest, which is {high}")


def _is_number(value: object) -> bool:
    """Neither NaN nor infinite, nor a yes or no."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"
