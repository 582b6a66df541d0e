"""The tags of decisions on the labels or the image of one item: one query and one write, no mask is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.fiftyone_private import set_on_labels
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
    ids = [item.a, item.b][: len(sides)]
    paths = ["tags"]
    for side, identifier in zip(sides, ids, strict=True):
        paths += _paths(dataset, side) if identifier is not None else []
    columns = all_images(dataset).select([item.sample_id]).values(paths)
    if not columns[0]:
        raise DatasetError(f"sample {item.sample_id} was deleted meanwhile; go on with the next")
    present = dict(zip(paths, (column[0] or [] for column in columns), strict=True))
    labels: dict[str, str] = {}
    values: Tags = {}
    earlier: Tags = {}
    if item.is_image:
        own = {image_tag(name, side.name) for side in sides for name in DECIDED}
        kept, earlier[item.sample_id] = _parted(present["tags"], own)
        values["tags"] = [*kept, *tags.get(item.sample_id, [])]
    for side, identifier in zip(sides, ids, strict=True):
        if identifier is None:
            continue
        detections, *tagged = _paths(dataset, side)
        if identifier not in present[detections]:
            raise _made_again(side.name)
        index = present[detections].index(identifier)
        labels[f"{side.field}.detections.{index}"] = identifier
        for path in tagged:
            if len(present[path]) != len(present[detections]):
                continue  # somebody drew or deleted outlines: which is whose is unknown
            kept, before = _parted(present[path][index], set(DECIDED))
            earlier.setdefault(identifier, before)
            values[f"{path.removesuffix('.tags')}.{index}.tags"] = [*kept, *tags.get(identifier, [])]
    if not set_on_labels(dataset, item.sample_id, labels, values):
        raise _made_again(" and ".join(side.name for side in sides))
    return earlier


def _paths(dataset: fo.Dataset, side: Side) -> list[str]:
    """The ids of a source's Detections, their tags, and those of the Polylines of the same objects."""
    paths = [f"{side.field}.detections.id", f"{side.field}.detections.tags"]
    outlines = field_names.polygons(field_names.part(side.name))
    return [*paths, f"{outlines}.polylines.tags"] if dataset.has_sample_field(outlines) else paths


def _made_again(name: str) -> DatasetError:
    return DatasetError(f"the labels of '{name}' were made again meanwhile; go on with the next")


def _parted(tags: Sequence[str] | None, own: set[str]) -> tuple[list[str], list[str]]:
    """The other tags, and those of decisions."""
    return [tag for tag in tags or () if tag not in own], [tag for tag in tags or () if tag in own]
