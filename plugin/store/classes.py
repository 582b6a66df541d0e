"""The classes of a dataset: their ids, which no later step may change, and the phrases that mean them.

Kept in ``dataset.info`` and mirrored in the mask targets. A class id is 1 + the class's index in the list;
new classes are added at its end, so masks written before stay right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.plugin.store import field_names

#: Class -> the phrases that mean it.
Phrases = Mapping[str, Sequence[str]]

#: Ids live in uint8 masks beside 0 (background) and 255 (ignore).
MAX_CLASSES = 254


def read_classes(dataset: fo.Dataset) -> dict[str, tuple[str, ...]]:
    """Class -> phrases in the order of the class ids; empty for a dataset that has none yet."""
    listed = dataset.info.get(field_names.INFO, {}).get("classes", [])
    return {item["name"]: tuple(item["phrases"]) for item in listed}


def classes_in(dataset: fo.Dataset, instances: str) -> list[str]:
    """The dataset's classes in the order of their ids, then any others that occur in the field ``instances``."""
    return list(dict.fromkeys([*read_classes(dataset), *dataset.distinct(f"{instances}.detections.label")]))


def only_classes(
    samples: fo.Dataset | fo.DatasetView, dataset: fo.Dataset, fields: Sequence[str], classes: Sequence[str]
) -> fo.DatasetView:
    """The samples with the instances of ``classes`` alone in their Detections ``fields``; all samples stay.

    Raises:
        InvalidSetting: one text instead of a list, an empty list, or a class that is in none of the fields.
    """
    known = list(dict.fromkeys(name for field in fields for name in classes_in(dataset, field)))
    if isinstance(classes, str) or not classes:
        raise InvalidSetting("classes", classes, "give a list of class names, such as ['car', 'bus']")
    for name in classes:
        if name not in known:
            raise InvalidSetting("classes", name, f"the dataset has no such class; there are {', '.join(known)}")
    view = samples.view()
    for field in fields:
        view = view.filter_labels(field, F("label").is_in(list(classes)), only_matches=False)
    return view


def extend_classes(dataset: fo.Dataset, classes: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Add classes and phrases the dataset does not know yet, and return all of them.

    Raises:
        DatasetError: more than 254 classes, or two whose heatmaps would share a field.
    """
    known = read_classes(dataset)
    merged = dict(known)
    for name, phrases in classes.items():
        merged[name] = tuple(dict.fromkeys([*merged.get(name, ()), *phrases]))
    if len(merged) > MAX_CLASSES:
        raise DatasetError(
            f"dataset '{dataset.name}' would have {len(merged)} classes; a mask has room for {MAX_CLASSES}"
        )
    owners: dict[str, str] = {}
    for name in merged:
        other = owners.setdefault(field_names.heatmap(name), name)
        if other != name:
            field = field_names.heatmap(name)
            raise DatasetError(f"classes '{other}' and '{name}' would share the field '{field}'; rename one")
    if merged != known:
        facts = dict(dataset.info.get(field_names.INFO, {}))
        facts["classes"] = [{"name": name, "phrases": list(phrases)} for name, phrases in merged.items()]
        dataset.info[field_names.INFO] = facts
        dataset.save()
    return merged


def mask_targets(classes: Iterable[str]) -> dict[int, str]:
    """Mask value -> class name, as FiftyOne's mask targets want it."""
    return {1 + index: name for index, name in enumerate(classes)}
