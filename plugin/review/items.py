"""What there is to review, the worst or most uncertain first. Reads columns of the database, loads no sample."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.model import HUMAN
from diffucurate.generator.text.class_names import some_of
from diffucurate.plugin.comparison.kinds import KINDS
from diffucurate.plugin.comparison.marks import tag_of
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.decisions import ACCEPTED, DECIDED, LATER, REJECTED, image_tag
from diffucurate.plugin.store.label_sources import compared, instances_field
from diffucurate.plugin.store.samples import dataset_of

#: What is looked at one by one.
OBJECTS, IMAGES = "objects", "images"

#: Orders, the least value first, beside kinds of disagreement and numeric fields.
AGREEMENT, CONFIDENCE, IOU = "agreement", "confidence", "iou"

#: The prefix of a numeric field whose greatest value comes first.
GREATEST = "-"


@dataclass(frozen=True)
class ReviewItem:
    """One object or one whole image.

    ``a`` and ``b`` are the ids of the labels that the two sources have at one place, None where a source has none
    there; both are None for a whole image. ``score`` is what the item is ordered by.
    """

    sample_id: str
    a: str | None = None
    b: str | None = None
    label: str | None = None
    score: float | None = None

    @property
    def key(self) -> tuple[str, str | None, str | None]:
        """Tells it from all others."""
        return self.sample_id, self.a, self.b

    @property
    def is_image(self) -> bool:
        """Whether it is a whole image."""
        return self.a is None and self.b is None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Order:
    """By what a queue is sorted: ``name`` as ``review`` takes it; the field of samples or the attribute of objects."""

    name: str
    sample_field: str | None = None
    attribute: str | None = None
    kind: str | None = None
    greatest_first: bool = False


class Side(NamedTuple):
    """A label source, its Detections field, and the key of its evaluation with the other one."""

    name: str
    field: str
    evaluation: str | None


@dataclass
class _Object:
    """The columns of one object."""

    id: str
    label: str | None
    confidence: float | None
    tags: Sequence[str]
    match: str | None
    iou: float | None
    elsewhere: str | None
    box: Sequence[float] | None
    value: float | None

    @property
    def decided(self) -> bool:
        return bool({*DECIDED, HUMAN}.intersection(self.tags))


def sides_of(dataset: fo.Dataset, a: str, b: str | None) -> tuple[Side, ...]:
    """The one or two sources to be reviewed.

    Raises:
        InvalidSetting: both are one.
        DatasetError: a source that the dataset lacks, or two that were not compared.
    """
    if b is None:
        return (Side(a, instances_field(dataset, a), None),)
    if a == b:
        raise InvalidSetting("b", b, "name a source other than the first, or none to review one alone")
    fields = [instances_field(dataset, name) for name in (a, b)]
    pair = next((pair for pair in compared(dataset) if set(pair) == {a, b}), None)
    if pair is None:
        raise DatasetError(f"sources '{a}' and '{b}' were not compared yet; run compare with both first")
    key = field_names.evaluation(*pair)
    return tuple(Side(name, field, key) for name, field in zip((a, b), fields, strict=True))


def order_of(dataset: fo.Dataset, sides: Sequence[Side], by: str | None) -> Order:
    """The order of that name; by agreement of two sources, or by confidence of one, where none is named.

    Raises:
        InvalidSetting: no such order.
    """
    pair = len(sides) == 2
    by = (AGREEMENT if pair else CONFIDENCE) if by is None else by
    if by == CONFIDENCE:
        return Order(by)
    if by in (AGREEMENT, IOU, *KINDS):
        if not pair:
            raise InvalidSetting("by", by, "that takes two compared sources; name the second as 'b'")
        if by == AGREEMENT:
            names = [field_names.agreement(*each) for each in _both_ways(sides)]
            return Order(by, sample_field=next(name for name in names if dataset.has_sample_field(name)))
        return Order(by, kind=by if by in KINDS else None)
    greatest, name = by.startswith(GREATEST), by.removeprefix(GREATEST)
    numbers = list(dataset.get_field_schema(ftype=(fo.FloatField, fo.IntField)))
    if any(_is_number(dataset.get_field(f"{side.field}.detections.{name}")) for side in sides):
        return Order(by, attribute=name, greatest_first=greatest)
    if name in numbers:
        return Order(by, sample_field=name, greatest_first=greatest)
    orders = [AGREEMENT, CONFIDENCE, IOU, *KINDS] if pair else [CONFIDENCE]
    raise InvalidSetting("by", by, f"use one of {', '.join(orders)}, or a field of numbers: {some_of(numbers)}")


def read_items(
    samples: fo.Dataset | fo.DatasetView, sides: Sequence[Side], order: Order, of: str
) -> list[tuple[ReviewItem, bool]]:
    """All items in order, each with whether it is decided. Equals stand in the order of the view.

    An object is decided by its own tags or by those of its image; one that a person drew or mended is.
    """
    dataset = dataset_of(samples)
    found: list[tuple[ReviewItem, bool]] = []
    for sample_id, tags, value, objects in _rows(samples, dataset, sides, order):
        items = _objects(sample_id, objects, sides, order, value)
        image_decided = _is_decided(tags, sides)
        if of == OBJECTS:
            found += [(item, decided or image_decided) for item, decided in items]
        elif all(each is not None for each in objects) and (items or order.kind is None):
            found.append((_image(sample_id, [item for item, _ in items], order, value), image_decided))
    sign = -1 if order.greatest_first else 1
    return sorted(found, key=lambda each: math.inf if each[0].score is None else sign * each[0].score)


def _image(sample_id: str, items: Sequence[ReviewItem], order: Order, value: float | None) -> ReviewItem:
    """A whole image goes by its own value, else by that of its worst object."""
    scores = [item.score for item in items if item.score is not None]
    worst = (max if order.greatest_first else min)(scores, default=None)
    return ReviewItem(sample_id, score=value if order.sample_field else worst)


def _is_decided(tags: Sequence[str], sides: Sequence[Side]) -> bool:
    each = ({image_tag(ACCEPTED, side.name), image_tag(REJECTED, side.name)} for side in sides)
    return LATER in tags or all(names.intersection(tags) for names in each)


def _objects(
    sample_id: str,
    objects: Sequence[Sequence[_Object] | None],
    sides: Sequence[Side],
    order: Order,
    value: float | None,
) -> list[tuple[ReviewItem, bool]]:
    """The places of an image at which a source has an object, each with whether it was decided."""
    pairs = (
        _paired(objects[0] or (), objects[1] or ()) if len(sides) == 2 else [(each, None) for each in objects[0] or ()]
    )
    items = []
    for pair in pairs:
        there = [each for each in pair if each is not None]
        if order.kind is not None and not any(
            tag_of(order.kind, other.name) in each.tags
            for each, other in zip(pair, reversed(sides), strict=False)
            if each is not None
        ):
            continue
        a, b = pair
        item = ReviewItem(
            sample_id, a.id if a else None, b.id if b else None, there[0].label, _score(there, order, value)
        )
        items.append((item, all(each.decided for each in there)))
    return items


def _score(objects: Sequence[_Object], order: Order, value: float | None) -> float | None:
    if order.sample_field is not None:
        return value
    if order.attribute is not None:
        values = [value for each in objects if (value := _finite(each.value)) is not None]
        return (max if order.greatest_first else min)(values, default=None)
    if order.name == CONFIDENCE:
        return min(1.0 if each.confidence is None else each.confidence for each in objects)
    return min(each.iou or 0.0 for each in objects)  # iou, and within a kind of disagreement


def _paired(first: Sequence[_Object], second: Sequence[_Object]) -> list[tuple[_Object | None, _Object | None]]:
    """Objects of two sources at one place: those that match, and those that are one place under two names."""
    others = {each.id: each for each in second}
    pairs: list[tuple[_Object | None, _Object | None]] = []
    for each in first:
        other = others.pop(each.match, None) if each.match else None
        if other is None and each.elsewhere not in (None, each.label):
            rivals = [
                (_box_iou(each.box, rival.box), rival.id)
                for rival in others.values()
                if not rival.match and (rival.label, rival.elsewhere) == (each.elsewhere, each.label)
            ]
            overlap, identifier = max(rivals, default=(0.0, ""))
            other = others.pop(identifier) if overlap > 0 else None
        pairs.append((each, other))
    return pairs + [(None, each) for each in others.values()]


def _box_iou(one: Sequence[float] | None, other: Sequence[float] | None) -> float:
    """IoU of two boxes (x, y, width, height)."""
    if not one or not other:
        return 0.0
    sides = [max(0.0, min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i])) for i in range(2)]
    shared = sides[0] * sides[1]
    whole = one[2] * one[3] + other[2] * other[3] - shared
    return shared / whole if whole > 0 else 0.0


def _rows(
    samples: fo.Dataset | fo.DatasetView, dataset: fo.Dataset, sides: Sequence[Side], order: Order
) -> Iterator[tuple[str, Sequence[str], float | None, list[list[_Object] | None]]]:
    """Sample id, its tags, its value in the order's field, and per source its objects, None where it has no labels."""
    top = ["id", "tags", *([order.sample_field] if order.sample_field else [])]
    paths = list(top)
    names_of_sides = []
    for side, other in zip(sides, reversed(sides), strict=True):
        columns: list[str | None] = ["id", "label", "confidence", "tags", None, None, None, None, order.attribute]
        if side.evaluation is not None:
            marks = field_names.iou_with(other.name), field_names.class_in(other.name)
            columns[4:8] = [f"{side.evaluation}_id", *marks, "bounding_box"]
        if order.attribute and not dataset.has_field(f"{side.field}.detections.{order.attribute}"):
            columns[-1] = None
        names_of_sides.append([f"{side.field}.detections.{name}" if name else None for name in columns])
        paths += [name for name in names_of_sides[-1] if name]
    for row in zip(*samples.values(paths), strict=True):
        values = iter(row[len(top) :])
        sources = [_read_side([next(values) if name else None for name in names]) for names in names_of_sides]
        yield row[0], row[1] or (), _finite(row[2]) if order.sample_field else None, sources


def _read_side(columns: Sequence[Any]) -> list[_Object] | None:
    ids = columns[0]
    if ids is None:
        return None
    lists = [column if column is not None else [None] * len(ids) for column in columns]
    objects = [_Object(*each) for each in zip(*lists, strict=True)]
    for each in objects:
        each.tags = each.tags or ()
    return objects


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _both_ways(sides: Sequence[Side]) -> list[tuple[str, str]]:
    a, b = (side.name for side in sides)
    return [(a, b), (b, a)]


def _is_number(field: fo.Field | None) -> bool:
    return isinstance(field, fo.FloatField | fo.IntField)
