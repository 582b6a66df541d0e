"""The classes of a dataset: their ids, which no later step may change, and the phrases that mean them.

A class id is 1 + the class's index in a list that only grows, so masks written before stay right. The list is kept
outside of the dataset (``installation``) and changed there in one step, so that no process writes back an older one.
``dataset.info`` and the mask targets repeat it; a dataset that was cloned or imported begins with what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.text.class_names import phrases_of, some_of
from diffucurate.plugin.fiftyone_private import set_info
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.facts import read_facts
from diffucurate.plugin.store.installation import CLASSES, keep, kept
from diffucurate.plugin.store.samples import all_images

#: Class -> the phrases that mean it.
Phrases = Mapping[str, Sequence[str]]

#: Ids live in uint8 masks beside 0 (background) and 255 (ignore).
MAX_CLASSES = 254


def read_classes(dataset: fo.Dataset) -> dict[str, tuple[str, ...]]:
    """Class -> phrases in the order of the class ids; empty for a dataset that has none yet."""
    listed = kept(dataset, CLASSES)
    return _inherited(dataset) if listed is None else _from_list(listed)


def classes_in(dataset: fo.Dataset, instances: str) -> list[str]:
    """The dataset's classes in the order of their ids, then any others that occur in the field ``instances``."""
    return list(dict.fromkeys([*read_classes(dataset), *all_images(dataset).distinct(f"{instances}.detections.label")]))


def exported_classes(dataset: fo.Dataset, instances: str) -> tuple[list[str], str]:
    """The classes of a field's instances in the order of their ids in exports, whatever a view shows of them.

    They are the first of these that the dataset has, then all other labels of the field in alphabetical order: its
    classes of ours, those that FiftyOne keeps for the field (``dataset.classes``) or for all fields, its mask targets.

    Returns:
        The classes, and where the order is from, in words.
    """
    targets = [*dataset.mask_targets.values(), dataset.default_mask_targets or {}]
    named: Mapping[Any, str] = next(
        (each for each in targets if each and all(isinstance(value, int) for value in each)), {}
    )
    origins = (
        ("the dataset's classes", list(read_classes(dataset))),
        (f"dataset.classes['{instances}']", dataset.classes.get(instances)),
        ("dataset.default_classes", dataset.default_classes),
        ("its mask targets", [name for value, name in sorted(named.items()) if value not in (0, 255)]),
    )
    origin, first = next(((origin, names) for origin, names in origins if names), ("all labels of the field", []))
    every = all_images(dataset).distinct(f"{instances}.detections.label")
    labels = [label for label in every if isinstance(label, str) and label]
    return list(dict.fromkeys([*(first or []), *sorted(labels)])), origin


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
            raise InvalidSetting("classes", name, f"the dataset has no such class; there are {some_of(known)}")
    view = samples.view()
    for field in fields:
        view = view.filter_labels(field, F("label").is_in(list(classes)), only_matches=False)
    return view


def extend_classes(dataset: fo.Dataset, classes: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Add classes and phrases the dataset does not know yet, and return all of them.

    Raises:
        DatasetError: more than 254 classes, or two whose heatmaps would share a field.
    """
    return _changed(dataset, lambda known: _merged(dataset, known, phrases_of(classes)))


def check_room(dataset: fo.Dataset, classes: Mapping[str, Iterable[str]]) -> None:
    """See that a dataset has room for classes that it may not know yet; changes nothing.

    Raises:
        DatasetError: as ``extend_classes``.
    """
    _merged(dataset, read_classes(dataset), phrases_of(classes))


def set_phrases(dataset: fo.Dataset, classes: Mapping[str, Sequence[str]]) -> None:
    """Let classes that the dataset knows have these phrases only; the others are left as they are."""
    given = phrases_of(classes)
    _changed(dataset, lambda known: {name: given.get(name, phrases) for name, phrases in known.items()})


def _changed(
    dataset: fo.Dataset, change: Callable[[dict[str, tuple[str, ...]]], dict[str, tuple[str, ...]]]
) -> dict[str, tuple[str, ...]]:
    """The classes after a change to what is kept, made in one step whoever else is changing it."""
    while True:
        listed = kept(dataset, CLASSES)
        known = _inherited(dataset) if listed is None else _from_list(listed)
        merged = change(known)
        if merged == known and listed is not None:
            return merged
        plain = [{"name": name, "phrases": list(phrases)} for name, phrases in merged.items()]
        if keep(dataset, CLASSES, plain, instead_of=listed):  # else another process was faster
            set_info(dataset, field_names.INFO, {"classes": plain})
            return merged


def _merged(
    dataset: fo.Dataset, known: Mapping[str, tuple[str, ...]], classes: Mapping[str, Iterable[str]]
) -> dict[str, tuple[str, ...]]:
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
    return merged


def _inherited(dataset: fo.Dataset) -> dict[str, tuple[str, ...]]:
    """What a dataset says of itself, which can be anything: the classes noted in it, then those of its mask targets."""
    classes = _from_list(read_facts(dataset).get("classes"))
    for field, targets in dataset.mask_targets.items():
        if not field.endswith(field_names.mask("s").removeprefix("s")) or not isinstance(targets, Mapping):
            continue
        names = [name for index in range(len(targets)) if isinstance(name := targets.get(1 + index), str)]
        if names[: len(classes)] == list(classes)[: len(names)] and len(names) == len(targets):
            classes |= {name: (name,) for name in names[len(classes) :] if name not in classes}
    return classes


def _from_list(listed: Any) -> dict[str, tuple[str, ...]]:
    """The classes of a stored list up to the first entry that is none, so that no id is shifted."""
    classes: dict[str, tuple[str, ...]] = {}
    for item in listed if isinstance(listed, list | tuple) else ():
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or name in classes:
            break
        phrases = item.get("phrases")
        texts = phrases if isinstance(phrases, list | tuple) else ()
        classes[name] = tuple(phrase for phrase in texts if isinstance(phrase, str)) or (name,)
    return classes


def mask_targets(classes: Iterable[str]) -> dict[int, str]:
    """Mask value -> class name, as FiftyOne's mask targets want it."""
    return {1 + index: name for index, name in enumerate(classes)}
