"""The tab on near-duplicates: groups of images that look almost the same, to look through before they go."""

from __future__ import annotations

from collections.abc import Sequence

from fiftyone.operators import types

from diffucurate.generator.text.counted import counted
from diffucurate.operators.panel import widgets
from diffucurate.operators.panel.actions import PanelActions
from diffucurate.operators.panel.widgets import OperatorButton
from diffucurate.plugin.statistics.snapshot import Snapshot

#: Groups that have a row.
SHOWN = 100

#: Images that are read in a second, for what the button says.
_PER_SECOND = 150


def draw(
    panel: types.Object, snapshot: Snapshot, groups: Sequence[Sequence[str]] | None, actions: PanelActions
) -> None:
    """``groups`` are those that were looked for: sample ids, the one that would stay first. None before that."""
    images = counted(snapshot.images, "image")
    seconds = max(1, round(snapshot.images / _PER_SECOND))
    widgets.text(panel, "about", "Images of the view that look almost the same, by their thumbnails.")
    label = "Look for near-duplicates" if groups is None else "Look again in this view"
    widgets.button(
        panel,
        "look",
        f"{label} ({images}, about {seconds:,} s)",
        actions.find_duplicates,
        icon="search",
        main=not groups,
    )
    if groups is None:
        return
    gone = sum(len(group) - 1 for group in groups)
    widgets.new_row(panel, "row_of_groups")
    if not groups:
        widgets.text(panel, "none", "No two images look almost the same.")
        return
    words = (
        f"**{counted(len(groups), 'group')}**; {counted(gone, 'image')} would go, the first of each group would stay"
    )
    widgets.text(panel, "found", f"{words}.")
    widgets.button(panel, "all_groups", "Show all, group by group", actions.pick_group, icon="grid_view", row=None)
    form = {"near_duplicates": True, **({"source": snapshot.sources[0]} if snapshot.sources else {})}
    curate = OperatorButton("Curate without them", "curate_samples", "filter_alt", form)
    widgets.operator_button(panel, "curate", curate, actions.ask)
    rows = [
        {"group": f"{index + 1:,}", "images": f"{len(group):,}", "goes": f"{len(group) - 1:,}"}
        for index, group in enumerate(groups[:SHOWN])
    ]
    widgets.table(
        panel,
        "groups",
        {"group": "Group", "images": "Images", "goes": "Would go"},
        rows,
        label="Groups, the largest first",
        description="Click one to see its images, the one that would stay first",
        on_click=actions.pick_group,
    )
