"""What keeps images from being labelled as asked, before a source is loaded; writes nothing.

Every run begins here, and forms ask the same at every keystroke.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.settings import SourceSettings
from diffucurate.generator.sources.protocol import LabelRequest
from diffucurate.generator.sources.registry import source_named
from diffucurate.generator.text.class_names import name_problem, phrases_of, twin_of
from diffucurate.plugin.labelling.kept_maps import check_asked, check_maps, painters
from diffucurate.plugin.store.classes import Phrases, check_room, read_classes
from diffucurate.plugin.store.samples import dataset_of
from diffucurate.plugin.store.schema import check_label_fields
from diffucurate.plugin.store.source_names import check_new_source


def check_label(
    samples: fo.Dataset | fo.DatasetView,
    source: str,
    options: Mapping[str, Any],
    settings: SourceSettings | None = None,
    classes: Phrases | Sequence[str] | None = None,
    *,
    into: str | None = None,
    device: str | None = None,
    batch_size: int | None = None,
) -> LabelRequest[Any]:
    """What the source of that name is to do.

    Args:
        samples: that are to be labelled.
        source, options, settings, classes, into, device, batch_size: as for ``label``; options that are None were not
            chosen.

    Raises:
        InvalidSetting: an unknown source, a setting or options that it does not take, no classes, a token that is
            unknown or finds none of them, or a name ``into`` of other labels.
        ModelError: a model or a package is not there.
        DatasetError: images keep no class maps (any more) and no model is named that is to look at them, or a field
            has another type.
    """
    spec = source_named(source)
    spec.check(options, settings)
    dataset = dataset_of(samples)
    if into is not None and into != source:
        check_new_source(dataset, into, "label", "labelled")
    wanted = wanted_classes(dataset, classes)
    if not wanted:
        remedy = f"dataset '{dataset.name}' has no classes yet; name them, such as car, bus"
        raise InvalidSetting("classes", None, remedy)
    check_room(dataset, wanted)
    check_label_fields(dataset, into or source)
    if "any" not in spec.images:
        check_maps(samples, source)
    elif spec.keeps_maps and not options.get("model") and not options.get("tokens"):
        check_asked(samples, contrast=bool(options.get("contrast")))
    chosen = settings if settings is not None else spec.make_settings({})
    request = LabelRequest(wanted, chosen, options, device, batch_size, lambda: painters(samples))
    if spec.check_request is not None:
        spec.check_request(request)
    return request


def wanted_classes(dataset: fo.Dataset, classes: Phrases | Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    """Class -> phrases of what is to be labelled; what the dataset knows of a class is kept.

    Raises:
        InvalidSetting: ``classes`` is a single text, or empty; a name that no class can have, one that differs from
            another class only in capitals, or a class without phrases.
    """
    known = read_classes(dataset)
    if classes is None:
        return known
    if isinstance(classes, str) or not classes:
        raise InvalidSetting("classes", classes, "give a list of class names, such as car, bus")
    for name in classes:
        if name in known:  # whatever somebody else has called it
            continue
        if problem := name_problem(name):
            raise InvalidSetting("classes", name, problem)
        if other := twin_of(name, [*known, *classes]):
            remedy = f"it differs from '{other}' only in capitals, or in what is between words; use one name"
            raise InvalidSetting("classes", name, remedy)
    if not isinstance(classes, Mapping):
        return {name: known.get(name, (name,)) for name in classes}
    for name, given in classes.items():
        phrases = [given] if isinstance(given, str) else list(given) if isinstance(given, Sequence) else []
        if not phrases or not all(isinstance(phrase, str) and phrase.strip() for phrase in phrases):
            raise InvalidSetting(f"classes.{name}", given, "list the phrases that mean the class, as texts")
    return phrases_of(classes)
