"""The tags of decisions on the labels or the image of one item: read and written as columns, no mask is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.review.items import ReviewItem, Side
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.decisions import DECIDED, image_tag
from diffucurate.plugin.store.samples import all_images

#: The id of a label or sample -> its tags of decisions.
Tags = dict[str, list[str]]


def tag_item(dataset: fo.Dataset, sides: Sequence[Side], item: ReviewItem, decided: Sequence[str]) -> Tags:
    """Replace the tags of decisions by those of ``decided``, one per source; the earlier ones.

    Raises:
        DatasetError: the sample or one of its labels is gone.
    """
    if item.is_image:
        names = [image_tag(decision, side.name) for decision, side in zip(decided, sides, strict=False)]
        return restore_tags(dataset, sides, item, {item.sample_id: list(dict.fromkeys(names))})
    ids = zip((item.a, item.b), decided, strict=True)
    return restore_tags(dataset, sides, item, {name: [decision] for name, decision in ids if name is not None})


def restore_tags(dataset: fo.Dataset, sides: Sequence[Side], item: ReviewItem, tags: Mapping[str, list[str]]) -> Tags:
    """Replace the tags of decisions by these; the earlier ones. Other tags stay.

    Raises:
        DatasetError: the sample or one of its labels is gone.
    """
    view = all_images(dataset).select([item.sample_id])
    if item.is_image:
        return _tag_image(view, sides, item.sample_id, tags.get(item.sample_id, []))
    changes: dict[str, list[list[str]]] = {}
    earlier: Tags = {}
    for side, identifier in zip(sides, (item.a, item.b), strict=False):
        if identifier is not None:
            changes |= _changes(dataset, view, side, identifier, tags.get(identifier, []), earlier)
    for path, column in changes.items():
        view.set_values(path, [column])
    return earlier


def _tag_image(view: fo.DatasetView, sides: Sequence[Side], sample_id: str, tags: Sequence[str]) -> Tags:
    present = view.values("tags")
    if not present:
        raise DatasetError(f"sample {sample_id} was deleted meanwhile; go on with the next")
    own = {image_tag(name, side.name) for side in sides for name in DECIDED}
    kept, earlier = _parted(present[0], own)
    view.set_values("tags", [[*kept, *tags]])
    return {sample_id: earlier}


def _changes(
    dataset: fo.Dataset, view: fo.DatasetView, side: Side, identifier: str, tags: Sequence[str], earlier: Tags
) -> dict[str, list[list[str]]]:
    """Path -> the tags of all labels there, of the Detections and of the Polylines of the same objects."""
    paths = [f"{side.field}.detections.tags"]
    outlines = field_names.polygons(field_names.part(side.name))
    if dataset.has_sample_field(outlines):
        paths.append(f"{outlines}.polylines.tags")
    values = view.values([f"{side.field}.detections.id", *paths])
    ids, *columns = [(column[0] if column else None) or [] for column in values]
    if identifier not in ids:
        raise DatasetError(f"the labels of '{side.name}' were made again meanwhile; go on with the next")
    index, changes = ids.index(identifier), {}
    for path, column in zip(paths, columns, strict=True):
        if len(column) != len(ids):
            continue  # somebody drew or deleted outlines: which is whose is unknown
        kept, before = _parted(column[index], set(DECIDED))
        earlier.setdefault(identifier, before)
        changes[path] = [each or [] for each in column]
        changes[path][index] = [*kept, *tags]
    return changes


def _parted(tags: Sequence[str] | None, own: set[str]) -> tuple[list[str], list[str]]:
    """The other tags, and those of decisions."""
    return [tag for tag in tags or () if tag not in own], [tag for tag in tags or () if tag in own]
