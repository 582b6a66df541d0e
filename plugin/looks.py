"""How a dataset looks when the App opens: which fields are on, and one colour per class in all of them.

Touches only what nobody has set: fields are switched on when they first appear, and a colour scheme that is
not ours stays.
"""

from __future__ import annotations

from collections.abc import Iterable

import fiftyone as fo

from diffucurate.plugin import fields

#: Okabe and Ito's colours for all kinds of colour vision, black left out, then lighter ones for more classes.
PALETTE = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
    "#FFD27F", "#A6DCF7", "#7FDBC1", "#FFF9B0", "#7FB8DB", "#F2A27A", "#E8C0D6",
)  # fmt: skip


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


def colour_classes(dataset: fo.Dataset, classes: Iterable[str], sources: Iterable[str]) -> None:
    """Give each class one colour in the masks, polygons and instances of all ``sources``; heatmaps a colour scale."""
    facts = dict(dataset.info.get(fields.INFO, {}))
    scheme = dataset.app_config.color_scheme
    if scheme is not None and scheme.id != facts.get("colour_scheme"):
        return
    known = list(dict.fromkeys([*facts.get("coloured_sources", []), *sources]))
    colours = [(name, PALETTE[index % len(PALETTE)]) for index, name in enumerate(classes)]
    values = [{"value": name, "color": colour} for name, colour in colours]
    paths = [path for source in known for path in (fields.instances(source), fields.polygons(source))]
    new = fo.ColorScheme(
        color_by="value",
        fields=[{"path": path, "colorByAttribute": "label", "valueColors": values} for path in paths],
        default_mask_targets_colors=[{"intTarget": 1 + i, "color": colour} for i, (_, colour) in enumerate(colours)],
    )
    if scheme is not None:
        new.id = scheme.id
    dataset.app_config.color_scheme = new
    dataset.info[fields.INFO] = {**facts, "colour_scheme": new.id, "coloured_sources": known}
    dataset.save()
