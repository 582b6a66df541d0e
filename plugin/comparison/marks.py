"""What a comparison leaves on each instance, for filters and clicks: its overlap with the other source, and label tags
for the kinds of disagreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import fiftyone as fo

from diffucurate.plugin.comparison.kinds import KINDS, TIGHT, Seen, kinds_of
from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.instances import UnreadableInstanceError, read_mask
from diffucurate.plugin.store.matches import ConfusionMatrix
from diffucurate.plugin.store.samples import parts_of
from diffucurate.plugin.store.schema import declare_matches

#: (height, width) at which the masks of an image of unknown size are looked at.
ANY_SIZE = (1024, 1024)


class Side(NamedTuple):
    """One of the two sources that are compared: its name, the field of its instances."""

    name: str
    field: str


def tag_of(kind: str, other: str) -> str:
    """The label tag of a kind of disagreement with another source, such as ``merged (yolov8)``."""
    return f"{kind} ({other})"


class Marks(NamedTuple):
    """``kinds``: kind of disagreement -> on how many instances, of both sources. ``confusion`` counts the classes that
    stand at one place."""

    kinds: dict[str, int]
    confusion: ConfusionMatrix


def mark_instances(samples: fo.DatasetView, a: Side, b: Side, key: str, least: float, order: Sequence[str]) -> Marks:
    """Write on each instance its IoU with the other source, whether they match and the class that the other has there,
    and tag disagreements.

    Args:
        samples: compared, with the evaluation ``key`` on their instances; tags of an earlier comparison are replaced.
        a, b: the sources, ``b`` being the reference.
        key: of the evaluation in FiftyOne.
        least: least IoU of a match.
        order: of the classes of the confusion matrix.
    """
    kinds: Counter[str] = Counter()
    pairs: Counter[tuple[str | None, str | None]] = Counter()
    for side, other in ((a, b), (b, a)):
        declare_matches(dataset_behind(samples), side.field, other.name)
    for part in parts_of(samples):  # of which the marks are held in memory and written at once
        _mark(part, (a, b), key, least, kinds, pairs)
    return Marks({kind: kinds[kind] for kind in KINDS if kinds[kind]}, ConfusionMatrix.of(a.name, b.name, pairs, order))


class _Instances(NamedTuple):
    """The instances of one source in some samples: id -> its IoU with the other's (0 without a match), the class that
    the other has there, its tags without those of an earlier comparison, and whether it had such."""

    ids: list[list[str]]
    labels: dict[str, str | None]
    overlaps: dict[str, float]
    elsewhere: dict[str, str | None]
    tags: dict[str, list[str]]
    tagged: set[str]

    def of_samples(self, values: Mapping[str, Any]) -> list[list[Any]]:
        """A value per instance, by sample, as FiftyOne writes them."""
        return [[values[identifier] for identifier in ids] for ids in self.ids]


def _mark(
    samples: fo.DatasetView,
    sides: tuple[Side, Side],
    key: str,
    least: float,
    kinds: Counter[str],
    pairs: Counter[tuple[str | None, str | None]],
) -> None:
    read = [_instances(samples, side, other, key) for side, other in (sides, sides[::-1])]
    unsure = [
        sample
        for sample, *both in zip(samples.values("id"), *(each.ids for each in read), strict=True)
        if any(each.overlaps[item] < TIGHT for each, items in zip(read, both, strict=True) for item in items)
    ]
    fields = [side.field for side in sides]
    for sample in samples.select(unsure).select_fields([*fields, "metadata"]).iter_samples():
        (ids_a, seen_a), (ids_b, seen_b) = (
            _seen(sample, side.field, each.overlaps) for side, each in zip(sides, read, strict=True)
        )
        differences = kinds_of(seen_a, seen_b, least)
        for i, j in differences.confused:
            read[0].elsewhere[ids_a[i]], read[1].elsewhere[ids_b[j]] = seen_b[j].label, seen_a[i].label
        for each, other, ids, of_each in zip(read, sides[::-1], (ids_a, ids_b), differences[:2], strict=True):
            for identifier, names in zip(ids, of_each, strict=True):
                each.tags[identifier] += sorted(tag_of(name, other.name) for name in names)
                each.tagged.update([identifier] if names else [])
                kinds.update(names)
    for side, other, each in zip(sides, sides[::-1], read, strict=True):
        path = f"{side.field}.detections"
        matched = {identifier: iou > 0 for identifier, iou in each.overlaps.items()}
        samples.set_values(f"{path}.{field_names.iou_with(other.name)}", each.of_samples(each.overlaps))
        samples.set_values(f"{path}.{field_names.matched_with(other.name)}", each.of_samples(matched))
        samples.set_values(f"{path}.{field_names.class_in(other.name)}", each.of_samples(each.elsewhere))
        if each.tagged:
            samples.set_label_values(f"{path}.tags", {name: each.tags[name] for name in each.tagged})
    first, second = read
    pairs.update((label, first.elsewhere[name]) for name, label in first.labels.items() if label)
    pairs.update((None, label) for name, label in second.labels.items() if label and second.elsewhere[name] is None)


def _instances(samples: fo.DatasetView, side: Side, other: Side, key: str) -> _Instances:
    path = f"{side.field}.detections"
    rows = samples.values([f"{path}.{name}" for name in ("id", "label", f"{key}_iou", "tags")])
    own = {tag_of(kind, other.name) for kind in KINDS}
    instances = _Instances([list(ids or ()) for ids in rows[0]], {}, {}, {}, {}, set())
    for sample in zip(*rows, strict=True):
        for identifier, label, iou, tags in zip(*(each or () for each in sample), strict=True):
            instances.labels[identifier] = label
            instances.overlaps[identifier] = iou or 0.0
            instances.elsewhere[identifier] = label if iou else None
            instances.tags[identifier] = [tag for tag in tags or () if tag not in own]
            if own.intersection(tags or ()):
                instances.tagged.add(identifier)
    return instances


def _seen(sample: Any, field: str, overlaps: Mapping[str, float]) -> tuple[list[str], list[Seen]]:
    """The ids of the instances of a sample that can be read, and the same as kinds are found from them."""
    size = sample.metadata
    shape = (size.height, size.width) if size is not None and size.height and size.width else ANY_SIZE
    ids, seen = [], []
    for detection in sample[field].detections or ():
        try:
            mask = read_mask(detection, shape, box_suffices=True)
        except UnreadableInstanceError:
            continue
        ids.append(detection.id)
        seen.append(Seen(detection.label, mask, overlaps[detection.id] or None))
    return ids, seen


def kinds_sentence(kinds: Mapping[str, int]) -> str:
    """The kinds with how many instances they are on, the most frequent first: ``12 extra, 3 merged``."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: -item[1]))
