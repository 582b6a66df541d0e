"""The first section: how much of what each source found, and how sure it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fiftyone.operators import types

from diffucurate.operators.panel import charts, widgets
from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.statistics.counts import Found
from diffucurate.plugin.statistics.snapshot import Snapshot

if TYPE_CHECKING:
    from diffucurate.operators.panel.panel import CurationPanel

#: The last row of tables; no class may be called so.
ALL = "All classes"


def classes_of(found: Sequence[Found]) -> list[str]:
    """The rows of the table: all classes that some source found, the most frequent first."""
    totals: dict[str, int] = {}
    for each in found:
        for label, count in each.classes.items():
            totals[label] = totals.get(label, 0) + count
    return sorted(totals, key=lambda label: (-totals[label], label))


def with_confidence(found: Sequence[Found]) -> list[Found]:
    """The sources that say how sure they are, in the order of the chart's bars."""
    return [each for each in found if each.confidence.total]


def section(panel: types.Object, snapshot: Snapshot, events: CurationPanel) -> None:
    """Counts per class and source, and a histogram of confidence."""
    found = snapshot.found
    headline = " · ".join(f"{each.source}: **{each.instances:,}** objects" for each in found)
    widgets.text(
        panel, "totals", f"**{snapshot.images:,}** {'image' if snapshot.images == 1 else 'images'} · {headline}"
    )
    events.actions(panel, snapshot)
    widgets.new_row(panel, "row_of_numbers")
    columns = {"label": "Class"} | {each.source: each.source for each in found}
    rows = [
        {"label": label} | {each.source: f"{each.classes.get(label, 0):,}" for each in found}
        for label in classes_of(found)
    ]
    rows.append({"label": ALL} | {each.source: f"{each.instances:,}" for each in found})
    widgets.table(
        panel,
        "classes",
        columns,
        rows,
        width=320,
        label="Objects per class",
        description="Click a number to see its images",
        on_click=events.pick_class,
    )
    sure = with_confidence(found)
    if sure:
        data, layout = charts.histograms(
            {each.source: each.confidence for each in sure},
            source_colours(snapshot.dataset, snapshot.sources),
            x="confidence",
            y="objects",
        )
        widgets.chart(
            panel,
            "confidence",
            data,
            layout,
            width=320,
            height=320,
            label="Confidence",
            description="How sure each source is of its objects. Click a bar to see its images",
            on_click=events.pick_confidence,
        )
