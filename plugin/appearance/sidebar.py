"""Where fields stand in the App's sidebar: a group per label source, then the prompt, the quality, the details.

Only fields of ours that stand nowhere yet are placed, so whatever a person has moved, renamed or grouped stays.
The App reads the groups when it opens a dataset; until then new fields show in its own groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import fiftyone as fo

from diffucurate.generator.sources.registry import keeps_maps, title_of
from diffucurate.plugin.store import canvas_document, caption_document, field_names
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.init_document import PARTS
from diffucurate.plugin.store.label_sources import compared
from diffucurate.plugin.store.schema import measures_in

PROMPT, QUALITY, DETAILS = "Prompt", "Quality", "Details"

_PROMPT_FIELDS = (
    field_names.PROMPT,
    field_names.NEGATIVE_PROMPT,
    field_names.MODEL,
    field_names.SEED,
    field_names.STEPS,
    field_names.GUIDANCE,
    field_names.TASK,
)
_SOURCE_FIELDS = tuple(f"{field_names.SOURCE}.{part}" for part in PARTS)
_CAPTION_FIELDS = tuple(f"{field_names.CAPTION}.{part}" for part in caption_document.PARTS)
_CANVAS_FIELDS = tuple(f"{field_names.CANVAS}.{part}" for part in canvas_document.PARTS)
_DETAIL_FIELDS = (
    field_names.JOB_ID,
    field_names.RUN_KEY,
    field_names.SOURCE_ID,
    *_SOURCE_FIELDS,
    *_CAPTION_FIELDS,
    *_CANVAS_FIELDS,
    field_names.ATTENTION_MAPS,
    *field_names.PAINTED_PATHS,
    *field_names.MOSAIC_PATHS,
)

#: FiftyOne's groups that ours follow.
_FIRST = ("tags", "labels")


def group_fields(dataset: fo.Dataset, sources: Iterable[str]) -> None:
    """Place fields of ours, those of ``sources`` among them, that are in no group of the sidebar yet.

    Details are folded. A new field joins the group in which others of its kind are, whatever the group is called.
    """
    homes = _homes(dataset, sources)
    groups = list(dataset.app_config.sidebar_groups or _without(homes, dataset))
    placed = {path for group in groups for path in group.paths}
    for title, paths in homes.items():
        new = [path for path in paths if path not in placed]
        if new:
            home = _existing(groups, title, paths)
            if home is None:
                home = fo.SidebarGroupDocument(name=title, expanded=title != DETAILS)
                groups.insert(_position([group.name for group in groups], list(homes), title), home)
            home.paths = [*home.paths, *new]
    dataset.app_config.sidebar_groups = groups
    dataset.save()


def _homes(dataset: fo.Dataset, sources: Iterable[str]) -> dict[str, list[str]]:
    """Group -> those fields of the dataset that belong there, both in the order in which they are shown."""
    schema = dataset.get_field_schema()
    heatmaps = [field_names.heatmap(name) for name in read_classes(dataset)]
    wanted: dict[str, Sequence[str]] = {}
    for source in sources:
        own = [field_names.instances(source), field_names.mask(source), field_names.polygons(source)]
        wanted[title_of(source)] = own + heatmaps * keeps_maps(source)
    pairs = compared(dataset)
    scores = [name for name, field in schema.items() if isinstance(field, fo.FloatField) and name.endswith("_score")]
    wanted[PROMPT] = [*_PROMPT_FIELDS[:2], *_attributes(dataset), *_PROMPT_FIELDS[2:]]
    wanted[QUALITY] = [*(field_names.agreement(*pair) for pair in pairs), *scores, *measures_in(dataset)]
    counts = [f"{field_names.evaluation(*pair)}_{kind}" for pair in pairs for kind in ("tp", "fp", "fn")]
    wanted[DETAILS] = [*_DETAIL_FIELDS, *counts]
    return {title: [path for path in paths if path.split(".")[0] in schema] for title, paths in wanted.items()}


def _attributes(dataset: fo.Dataset) -> list[str]:
    """The paths of the prompts' attributes; the document that holds them is no entry of the sidebar."""
    document = dataset.get_field(field_names.ATTRIBUTES)
    return [
        f"{field_names.ATTRIBUTES}.{name}" for name in (document.get_field_schema() if document is not None else ())
    ]


def _without(homes: dict[str, list[str]], dataset: fo.Dataset) -> list[fo.SidebarGroupDocument]:
    """FiftyOne's own groups without the fields that have a home in ours, and without those that are left empty."""
    ours = {path for paths in homes.values() for path in paths}
    groups = fo.DatasetAppConfig.default_sidebar_groups(dataset)
    for group in groups:
        group.paths = [path for path in group.paths if path not in ours]
    return [group for group in groups if group.paths]


def _existing(
    groups: Sequence[fo.SidebarGroupDocument], title: str, paths: Sequence[str]
) -> fo.SidebarGroupDocument | None:
    """The group of that title, else the one that holds any of ``paths``."""
    named = [group for group in groups if group.name == title]
    return next(iter(named + [group for group in groups if not set(paths).isdisjoint(group.paths)]), None)


def _position(names: Sequence[str], order: Sequence[str], title: str) -> int:
    """Where ``title`` goes among the groups' ``names``: after those of ours that come before it in ``order``."""
    place = order.index(title)
    before = [names.index(name) for name in (*_FIRST, *order[:place]) if name in names]
    return max(before, default=-1) + 1
