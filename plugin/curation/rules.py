"""The rules of a curation: one config, and the same rules as expressions of the database.

Knows nothing of how the samples that pass are chosen or kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import fiftyone as fo
from fiftyone import ViewField as F
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.text.class_names import some_of
from diffucurate.generator.validation import StrictSettings
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import classes_in
from diffucurate.plugin.store.decisions import accepted_rule, rejected_rule
from diffucurate.plugin.store.label_sources import instances_field

#: Least and greatest value of a score; None leaves that side open.
Limits = tuple[float | None, float | None]

#: The verdict on a sample that breaks no rule.
KEPT = "kept"

#: The verdict on a sample that the source has not labelled.
UNLABELLED = "unlabelled"

_Share = Annotated[float, Field(ge=0, le=1)]


def _plain_limits(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2 or all(end is None for end in value):
        raise ValueError("give a least and a greatest value, None where there is none, as in (0.2, None)")
    return tuple(value)


def _check_limits(limits: Limits) -> Limits:
    low, high = limits
    if low is not None and high is not None and low > high:
        raise ValueError("the least value must not exceed the greatest")
    return limits


def _check_nearness(value: Any) -> Any:
    if not isinstance(value, bool) and not (isinstance(value, int | float) and 0 < value <= 2):
        raise ValueError("give a distance above 0 and at most 2")
    return value if isinstance(value, bool) else float(value)


class Rules(StrictSettings):
    """The rules of one curation; what is None, empty or False is no rule.

    ``class_confidence`` maps classes to a least confidence in the place of ``min_confidence``. ``scores`` maps numeric
    sample fields to their limits. ``max_per_class`` is a number of images.
    ``backgrounds`` is a share of what is kept. ``near_duplicates`` is a distance or, as True, the usual one;
    ``embeddings`` says what it is measured on.

    Raises:
        InvalidSetting: a number out of range, limits that no value meets, or a rule without one that it depends on.
    """

    called: ClassVar[str] = "the rules"

    source: str
    min_confidence: _Share | None = None
    class_confidence: Mapping[str, _Share] = Field(default_factory=dict)
    min_agreement: _Share | None = None
    against: str | None = None
    classes: Annotated[Sequence[str], Field(min_length=1)] | None = None
    min_area: _Share | None = None
    max_area: _Share | None = None
    scores: Mapping[str, Annotated[Limits, BeforeValidator(_plain_limits), AfterValidator(_check_limits)]] = Field(
        default_factory=dict
    )
    max_per_class: Annotated[int, Field(ge=1)] | None = None
    exact_duplicates: bool = False
    near_duplicates: Annotated[bool | float, BeforeValidator(_check_nearness)] = False
    embeddings: str | None = None
    backgrounds: Annotated[float, Field(ge=0, lt=1)] | None = None
    reviewed: Literal["accepted", "not rejected"] | None = None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.min_area is not None and self.max_area is not None and self.min_area > self.max_area:
            raise self.wrong("min_area", f"it must not exceed the maximum area, which is {self.max_area}")
        if self.min_agreement is not None and self.against is None:
            raise self.wrong("against", "name the label source that min_agreement is about, such as 'yolov8'")
        if self.against is not None and self.min_agreement is None:
            raise self.wrong("min_agreement", f"say how far '{self.against}' must agree, from 0 to 1")
        if self.against is not None and self.against == self.source:
            raise self.wrong("against", "name a source other than the one that is judged")
        if self.embeddings is not None and self.near_duplicates is False:
            raise self.wrong("near_duplicates", f"say how near counts, or leave out '{self.embeddings}'")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return self.model_dump(mode="json")

    def describe(self) -> str:
        """The rules in one line of plain words, as they stand under a saved view's name."""
        area = self.min_area is not None or self.max_area is not None
        nearness = "" if isinstance(self.near_duplicates, bool) else f" nearer than {_number(self.near_duplicates)}"
        measure = f" by {self.embeddings}" if self.embeddings else ""
        texts = {
            f"labels of {self.source}": True,
            f"confidence at least {_number(self.min_confidence)}": self.min_confidence is not None,
            **{f"{label} at least {_number(least)}": True for label, least in self.class_confidence.items()},
            f"agreement with {self.against} at least {_number(self.min_agreement)}": self.against is not None,
            f"classes {' and '.join(self.classes or ())}": self.classes is not None,
            f"area {_span(self.min_area, self.max_area)}": area,
            **{f"{name} {_span(*limits)}": True for name, limits in self.scores.items()},
            "no exact copies": self.exact_duplicates,
            f"no near-duplicates{nearness}{measure}": self.near_duplicates is not False,
            f"at most {self.max_per_class} images per class": self.max_per_class is not None,
            f"backgrounds at most {_number(self.backgrounds)} of all": self.backgrounds is not None,
            f"{self.reviewed} by a person": self.reviewed is not None,
        }
        return ", ".join(text for text, holds in texts.items() if holds)


class BoundRules:
    """Rules and the fields of one dataset that they are about.

    ``instances`` is the Detections field that is judged, ``polygons`` the source's own outlines of the same, None
    where there are none.

    Raises:
        DatasetError: a field or a comparison that the dataset lacks.
        InvalidSetting: a class or score that the dataset does not have.
    """

    def __init__(self, dataset: fo.Dataset, rules: Rules) -> None:
        self.dataset, self.rules = dataset, rules
        self.instances = instances_field(dataset, rules.source)
        outlines = field_names.polygons(field_names.part(rules.source))
        self.polygons = outlines if dataset.has_sample_field(outlines) else None
        self.agreement = None if rules.against is None else _agreement_field(dataset, rules.source, rules.against)
        self._check_classes()
        known = score_fields(dataset)
        for name in rules.scores:
            if name not in known:
                there = f"there are {some_of(known)}" if known else "there are none yet"
                raise InvalidSetting(f"scores.{name}", name, f"the dataset has no such field of numbers; {there}")
        has_area_rule = rules.min_area is not None or rules.max_area is not None
        self._area: Any = _area_of(dataset, self.instances) if has_area_rule else None

    def _check_classes(self) -> None:
        named = [("classes", label) for label in self.rules.classes or ()]
        named += [("class_confidence", label) for label in self.rules.class_confidence]
        known = classes_in(self.dataset, self.instances) if named else []
        for setting, label in named:
            if label not in known:
                raise InvalidSetting(setting, label, f"the dataset has no such class; there are {some_of(known)}")

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

    def background(self) -> Any:
        """One expression on a sample: it passes the rules on whole samples, and shows no object of the classes.

        However unsure the source is of one: an object that it only suspects is no background.
        """
        found = F(f"{self.instances}.detections")
        wanted = self.rules.classes
        shown = found if wanted is None else found.filter(F("label").is_in(list(wanted)))
        return F.all([passed for _, passed in self._on_whole_samples()] + [shown.length() == 0])

    def _on_samples(self) -> Iterator[tuple[str, Any]]:
        yield from self._on_whole_samples()
        found, parts = F(f"{self.instances}.detections"), []
        for rule, part in self._on_instances():
            parts.append(part)
            yield rule, found.filter(F.all(parts)).length() > 0

    def _on_whole_samples(self) -> Iterator[tuple[str, Any]]:
        yield UNLABELLED, F(self.instances) != None  # noqa: E711  (a database expression)
        if self.agreement is not None:
            yield "agreement", F(self.agreement) >= self.rules.min_agreement
        for name, limits in self.rules.scores.items():
            low, high = limits
            # The database holds null and NaN for less than any number: with a lower limit they drop out.
            within = F(name) >= (-math.inf if low is None else low)
            yield f"scores.{name}", within if high is None else within & (F(name) <= high)

    def _on_instances(self) -> Iterator[tuple[str, Any]]:
        rules = self.rules
        if rules.reviewed is not None:
            accepted = rules.reviewed == "accepted"
            yield "reviewed", accepted_rule(rules.source) if accepted else ~rejected_rule(rules.source)
        if rules.min_confidence is not None or rules.class_confidence:
            # Without a confidence, as ground truth is, an instance counts as certain.
            yield "confidence", F("confidence").exists(False) | self._sure()
        if rules.classes is not None:
            yield "classes", F("label").is_in(list(rules.classes))
        if rules.min_area is not None or rules.max_area is not None:
            low = self._area >= (0 if rules.min_area is None else rules.min_area)
            yield "area", low if rules.max_area is None else low & (self._area <= rules.max_area)

    def _sure(self) -> Any:
        """Whether an instance has the confidence that its class must have."""
        limits, others = self.rules.class_confidence, self.rules.min_confidence
        rest = ~F("label").is_in(list(limits))
        parts = [rest if others is None else rest & (F("confidence") >= others)]
        parts += [(F("label") == F.literal(label)) & (F("confidence") >= least) for label, least in limits.items()]
        return F.any(parts)


def score_fields(dataset: fo.Dataset) -> list[str]:
    """The sample fields that hold one number each, in the order of the schema."""
    return list(dataset.get_field_schema(ftype=(fo.FloatField, fo.IntField)))


def _area_of(dataset: fo.Dataset, instances: str) -> Any:
    """The share of the image that an instance covers: as stored; that of its box where nothing is stored, or areas of
    another tool in pixels."""
    stored = f"{instances}.detections.{field_names.AREA}"
    greatest = dataset.bounds(stored)[1] if dataset.has_sample_field(stored) else None
    is_share = greatest is not None and greatest <= 1
    return F(field_names.AREA) if is_share else F("bounding_box")[2] * F("bounding_box")[3]


def _agreement_field(dataset: fo.Dataset, source: str, against: str) -> str:
    """The field of the two sources' agreement, in either order; that of ``source`` with ``against`` first."""
    for name in (field_names.agreement(source, against), field_names.agreement(against, source)):
        if dataset.has_sample_field(name):
            return name
    raise DatasetError(f"sources '{source}' and '{against}' were not compared yet; run compare with both first")


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {_number(high)}"
    return f"at least {_number(low)}" if high is None else f"{_number(low)} to {_number(high)}"


def _number(value: float | None) -> str:
    """All digits; a whole number without a fraction."""
    return "" if value is None else f"{value:.15g}"
