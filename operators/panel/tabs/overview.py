"""The first tab: the objects of each source, by class and by confidence."""

from __future__ import annotations

from collections.abc import Sequence

from fiftyone.operators import types

from diffucurate.generator.text.counted import counted
from diffucurate.operators.panel import charts, next_step, widgets
from diffucurate.operators.panel.actions import PanelActions
from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.statistics.counts import InstanceCounts, classes_by_frequency, sources_with_confidence
from diffucurate.plugin.statistics.snapshot import Snapshot

#: The last row of tables; no class may be called so.
ALL = "All classes"


def draw(panel: types.Object, snapshot: Snapshot, actions: PanelActions) -> None:
    """Counts per class and source, and a histogram of confidence."""
    counts = snapshot.counts
    totals = " · ".join(f"{source.source}: **{counted(source.instances, 'object')}**" for source in counts)
    widgets.text(panel, "totals", f"**{counted(snapshot.images, 'image')}** · {totals}")
    widgets.text(panel, "steps", next_step.progress(snapshot), width=320, alignSelf="center")
    if (button := next_step.next_step(snapshot)) is not None:
        widgets.operator_button(panel, "next_step", button, actions.ask, main=True)
    widgets.new_row(panel, "row_of_steps")
    actions.operator_buttons(panel, snapshot)
    widgets.new_row(panel, "row_of_numbers")
    widgets.table(
        panel,
        "classes",
        {"label": "Class"} | {source.source: source.source for source in counts},
        _rows(counts),
        width=320,
        label="Objects per class",
        description="Click a number to see these objects",
        on_click=actions.pick_class,
    )
    confidences = {source.source: source.confidence for source in sources_with_confidence(counts)}
    if confidences:
        colours = source_colours(snapshot.dataset, snapshot.sources)
        figure = charts.histograms(confidences, colours, x="confidence", y="objects")
        widgets.chart(
            panel,
            "confidence",
            figure,
            width=320,
            height=320,
            label="Confidence",
            description="How sure each source is of its objects. Click a bar to see them",
            on_click=actions.pick_confidence,
        )


def _rows(counts: Sequence[InstanceCounts]) -> list[dict[str, str]]:
    """The table's rows: one per class, then one for all."""
    rows = [
        {"label": label} | {source.source: f"{source.classes.get(label, 0):,}" for source in counts}
        for label in classes_by_frequency(counts)
    ]
    return [*rows, {"label": ALL} | {source.source: f"{source.instances:,}" for source in counts}]
