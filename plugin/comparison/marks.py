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


def mark_instances(samples: fo.DatasetView, a: Side, b: Side, key: str, least: float) -> dict[str, int]:
    """Write on each instance its IoU with the other source and whether they match, and tag disagreements.

    Args:
        samples: compared, with the evaluation ``key`` on their instances; tags of an earlier comparison are replaced.
        a, b: the sources, ``b`` being the reference.
        key: of the evaluation in FiftyOne.
        least: least IoU of a match.

    Returns:
        Kind of disagreement -> on how many instances, of both sources.
    """
    counts: Counter[str] = Counter()
    tags: dict[Side, dict[str, list[str]]] = {a: {}, b: {}}
    for side, other in ((a, b), (b, a)):
        declare_matches(dataset_behind(samples), side.field, other.name)
        path = f"{side.field}.detections"
        ids, ious, before = samples.values([f"{path}.id", f"{path}.{key}_iou", f"{path}.tags"])
        overlaps = [[iou or 0.0 for iou in each or ()] for each in ious]
        samples.set_values(f"{path}.{field_names.iou_with(other.name)}", overlaps)
        samples.set_values(
            f"{path}.{field_names.matched_with(other.name)}", [[iou > 0 for iou in each] for each in overlaps]
        )
        own = {tag_of(kind, other.name) for kind in KINDS}
        tags[side] = {
            identifier: [tag for tag in known or () if tag not in own]
            for row in zip(ids, before, strict=True)
            for identifier, known in zip(row[0] or (), row[1] or (), strict=True)
            if own.intersection(known or ())
        }
    for sample in _doubtful(samples, a, b, key).iter_samples():
        sides = [_seen(sample, side.field, other.name) for side, other in ((a, b), (b, a))]
        kinds = kinds_of(sides[0][1], sides[1][1], least)
        for side, other, (detections, _), found in zip((a, b), (b, a), sides, kinds, strict=True):
            for detection, names in zip(detections, found, strict=True):
                if names:
                    known = tags[side].get(detection.id, list(detection.tags or ()))
                    tags[side][detection.id] = [*known, *sorted(tag_of(name, other.name) for name in names)]
                    counts.update(names)
    for side, changed in tags.items():
        if changed:
            samples.set_label_values(f"{side.field}.detections.tags", changed)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def _doubtful(samples: fo.DatasetView, a: Side, b: Side, key: str) -> fo.DatasetView:
    """The samples with an instance that has no match or a loose one: of the others nothing is to be said."""
    unsure: list[str] = []
    paths = [f"{side.field}.detections.{key}_iou" for side in (a, b)]
    for identifier, *ious in zip(*samples.values(["id", *paths]), strict=True):
        if any((iou or 0.0) < TIGHT for each in ious for iou in each or ()):
            unsure.append(identifier)
    return samples.select(unsure).select_fields([a.field, b.field, "metadata"])


def _seen(sample: Any, field: str, other: str) -> tuple[Sequence[Any], list[Seen]]:
    """The instances of a sample that can be read, and the same as kinds are found from them."""
    size = sample.metadata
    shape = (size.height, size.width) if size is not None and size.height and size.width else ANY_SIZE
    detections, seen = [], []
    for detection in sample[field].detections or ():
        try:
            mask = read_mask(detection, shape, box_suffices=True)
        except UnreadableInstanceError:
            continue
        detections.append(detection)
        seen.append(Seen(detection.label, mask, detection[field_names.iou_with(other)] or None))
    return detections, seen


def kinds_sentence(kinds: Mapping[str, int]) -> str:
    """The kinds with how many instances they are on, the most frequent first: ``12 extra, 3 merged``."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: -item[1]))
