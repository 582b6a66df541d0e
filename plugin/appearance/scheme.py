"""How a dataset looks when the App opens: which fields are on, and the colours of each label source.

Touches only what nobody has set: fields are switched on when they first appear, a colour scheme that is not ours stays,
and so do the colours that a person gave to other fields in ours. All of it is kept in the dataset. Which colours there
are is for ``appearance.palette``, where fields stand in the sidebar for ``appearance.sidebar``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import fiftyone as fo

from diffucurate.generator.sources.registry import keeps_maps
from diffucurate.plugin.appearance.palette import FAMILIES, HEAT_SCALE, family_of, heat_table, shades
from diffucurate.plugin.appearance.sidebar import group_fields
from diffucurate.plugin.appearance.source_colours import LABEL_LISTS, families_of, own_families
from diffucurate.plugin.fiftyone_private import set_info
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.facts import read_facts

#: Share of the label in what is seen where labels lie over the image; the App's own 0.7 hides the image.
OPACITY = 0.5


def apply_default_appearance(dataset: fo.Dataset, source: str, before: Iterable[str]) -> None:
    """Make a label source presentable: its new instances on, its colours and its place in the sidebar.

    Masks, polygons and heatmaps say again what the instances say and would only lie over them: they are off until
    somebody wants them. ``before`` are the names of the fields there were before the source was declared.
    """
    known = set(before)
    extra = [field_names.mask(source), field_names.polygons(source), *map(field_names.heatmap, read_classes(dataset))]
    show_fields(
        dataset,
        [name for name in (field_names.instances(source),) if name not in known],
        hidden=[name for name in extra if name not in known],
    )
    colour_classes(dataset, list(read_classes(dataset)), [source])
    place_fields(dataset)


def place_fields(dataset: fo.Dataset) -> None:
    """Give fields that came since, such as an agreement or a score, their place in the sidebar."""
    group_fields(dataset, list(families_of(dataset)))


def show_fields(dataset: fo.Dataset, names: Iterable[str], *, hidden: Iterable[str] = ()) -> None:
    """Switch new fields on in the App's sidebar; FiftyOne leaves heatmaps and masks off.

    What was on stays on, but for ``hidden``: new fields that would only draw over the others.
    """
    active = dataset.app_config.active_fields
    if active is not None and active.exclude:
        paths = [*(path for path in active.paths if path not in set(names)), *hidden]
    else:
        if active is None:
            active = fo.DatasetAppConfig.default_active_fields(dataset)
        paths = [*(path for path in active.paths if path not in set(hidden)), *names]
    dataset.app_config.active_fields = fo.ActiveFields(exclude=active.exclude, paths=list(dict.fromkeys(paths)))
    dataset.save()


def colour_classes(dataset: fo.Dataset, classes: Sequence[str], sources: Iterable[str]) -> None:
    """Give each source, old and new, its colour family, and each class one shade of it in all the source's fields.

    A source keeps its family once it has one, and a class its shade as long as ``classes`` only grows. A label field of
    a person's own has one colour, as the App gives it without a scheme: that which it has in charts.
    """
    families = families_of(dataset)
    for source in sources:
        families.setdefault(source, family_of(source, families.values()))
    own = own_families(dataset, families)
    facts: dict[str, Any] = {"colour_families": families, "own_colours": own}
    scheme = dataset.app_config.color_scheme
    if scheme is None or scheme.id == read_facts(dataset).get("colour_scheme"):
        new = fo.ColorScheme(
            color_by="value",
            opacity=OPACITY,
            fields=_merged(
                [entry for source in families for entry in _of_source(source, families[source], classes)],
                [] if scheme is None else scheme.fields or [],
                [_of_own_field(dataset, name, FAMILIES[family][0]) for name, family in own.items()],
            ),
            # FiftyOne makes "rgb" of "list", but only when a dataset is chosen in an open App: one that is opened
            # with the dataset takes the scheme as it is stored, and without "rgb" keeps to viridis.
            default_colorscale={
                "list": [{"value": heat, "color": colour} for heat, colour in HEAT_SCALE],
                "rgb": heat_table(),
            },
        )
        if scheme is not None:
            new.id = scheme.id
        dataset.app_config.color_scheme = new
        facts["colour_scheme"] = new.id
    dataset.save()
    set_info(dataset, field_names.INFO, facts)


def colours_in_app(dataset: fo.Dataset) -> dict[str, Any] | None:
    """The dataset's colour scheme as the App's own ``set_color_scheme`` takes it; None where there is none."""
    scheme = dataset.app_config.color_scheme
    if scheme is None:
        return None
    # It spells some names as Python does, and hands on the others as they are to the App, which spells them its way.
    return {
        "color_by": scheme.color_by,
        "color_pool": scheme.color_pool,
        "opacity": scheme.opacity,
        "fields": scheme.fields,
        "defaultColorscale": scheme.default_colorscale,
    }


#: Classes of a label field of a person's own that are coloured; those of more come in the App's colours.
_MOST_CLASSES = 200


def _of_own_field(dataset: fo.Dataset, name: str, colour: str) -> Mapping[str, Any]:
    """The scheme's entry for a label field of a person's own, whose classes the App would colour from its pool."""
    objects = LABEL_LISTS.get(getattr(dataset.get_field(name), "document_type", None))
    labels = [] if objects is None else sorted(filter(None, dataset.distinct(f"{name}{objects}.label")))
    by_label = [{"value": label, "color": colour} for label in labels[:_MOST_CLASSES]]
    return {"path": name, "fieldColor": colour, "colorByAttribute": "label", "valueColors": by_label}


def _merged(
    ours: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """``ours`` and ``others``; an entry of ``before`` that a person changed stands in place of one of ``others``."""
    paths = {entry["path"] for entry in ours}
    own = {entry["path"]: entry for entry in others}
    kept = {entry["path"]: entry for entry in before if entry.get("path") and entry["path"] not in paths}
    for path, entry in own.items():
        if path not in kept or kept[path].get("fieldColor") == entry["fieldColor"]:  # new labels may have come
            kept[path] = entry
    return [*ours, *kept.values()]


def _of_source(source: str, family: str, classes: Sequence[str]) -> list[Mapping[str, Any]]:
    """The scheme's entries for a source's fields; ``fieldColor`` is the mark in the sidebar."""
    colours = shades(family, len(classes))
    by_label = {
        "colorByAttribute": "label",
        "valueColors": [{"value": name, "color": colour} for name, colour in zip(classes, colours, strict=True)],
    }
    by_id = {"maskTargetsColors": [{"intTarget": 1 + i, "color": colour} for i, colour in enumerate(colours)]}
    mark = {"fieldColor": FAMILIES[family][0]}
    entries: list[Mapping[str, Any]] = [
        {"path": field_names.instances(source), **mark, **by_label},
        {"path": field_names.polygons(source), **mark, **by_label},
        {"path": field_names.mask(source), **mark, **by_id},
    ]
    if keeps_maps(source):
        entries += [{"path": field_names.heatmap(name), **mark} for name in classes]
    return entries
