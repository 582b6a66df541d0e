"""Which labels of two fields mean one class, and which classes one of two sources cannot find."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.text.class_names import folded
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.classes import classes_in
from diffucurate.plugin.store.samples import all_images


def all_spellings(dataset: fo.Dataset, fields: Sequence[str], classes: Sequence[str]) -> Sequence[str]:
    """The labels in Detections ``fields`` that mean one of ``classes``, and those of ``classes`` that none means."""
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        return classes  # for whoever refuses that
    labels = list(dict.fromkeys(label for field in fields for label in classes_in(dataset, field)))
    wanted, present = {folded(name) for name in classes}, {folded(label) for label in labels}
    return [
        *(label for label in labels if folded(label) in wanted),
        *(name for name in classes if folded(name) not in present),
    ]


def spelled_alike(samples: fo.DatasetView, fields: Sequence[str], classes: Iterable[str]) -> fo.DatasetView:
    """The samples with one name for each class in Detections ``fields``, where they spell it in different ways.

    Names are one class as ``folded`` says. It is called as ``classes`` calls it, else as the first of the fields does.
    Nothing is changed in the dataset.
    """
    labels = {field: samples.distinct(f"{field}.detections.label") for field in fields}
    names: dict[str, str] = {}
    for name in [*classes, *(label for field in fields for label in labels[field])]:
        names.setdefault(folded(name), name)
    for field in fields:
        changed = {label: names[folded(label)] for label in labels[field] if names[folded(label)] != label}
        if changed:
            samples = samples.map_labels(field, changed)
    return samples


def unseen_classes(dataset: fo.Dataset, source: str, field: str, other: str) -> tuple[str, ...]:
    """The classes of which ``source`` has no instances because it was not asked for them or knows none.

    Args:
        dataset: labelled by both.
        source: the name of a label source.
        field: has its instances.
        other: the field of the instances that it is compared with.

    Returns:
        Those that it has none of by its latest run, and classes in ``other`` that none of its runs was asked for.
    """
    if field == source or field != field_names.instances(source):
        return ()  # labels from elsewhere
    keys = dataset.list_runs(method=runs.method("label"))
    infos = sorted(map(dataset.get_run_info, keys), key=lambda info: info.timestamp, reverse=True)
    asked: set[str] = set()
    unseen: list[str] | None = None
    for info in infos:
        settings, facts = (runs.plain(getattr(info.config, name, None) or {}) for name in ("settings", "facts"))
        if settings.get("source") != source or info.config.status != runs.DONE:
            continue
        if unseen is None:
            unseen = _texts(facts.get("unseen"))
        asked |= {folded(name) for name in _texts(settings.get("classes"))}
    painted = source == field_names.PAINTING_SOURCE and dataset.has_sample_field(field_names.JOB_ID)
    if unseen is None or painted:
        return tuple(unseen or ())  # what painting labels is what each prompt mentions
    own, others = (all_images(dataset).distinct(f"{path}.detections.label") for path in (field, other))
    known = asked | {folded(label) for label in own}
    return (*unseen, *(label for label in others if folded(label) not in known))


def _texts(value: Any) -> list[str]:
    """The texts of a list as a run that others may have changed keeps it."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []


def without_classes(samples: fo.DatasetView, fields: Sequence[str], classes: Iterable[str]) -> fo.DatasetView:
    """The samples without the instances of ``classes`` in Detections ``fields``, however they are spelled."""
    unwanted = {folded(name) for name in classes}
    for field in fields:
        labels = [label for label in samples.distinct(f"{field}.detections.label") if folded(label) in unwanted]
        if labels:
            samples = samples.filter_labels(field, ~F("label").is_in(labels), only_matches=False)
    return samples
