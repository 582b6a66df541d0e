"""The second section: how far two sources agree, per class and per image, and what two thresholds would keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fiftyone.operators import types

from diffucurate.operators.panel import charts, widgets
from diffucurate.operators.panel.state import Comparison
from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.statistics.counts import MatchRow
from diffucurate.plugin.statistics.snapshot import Snapshot

if TYPE_CHECKING:
    from diffucurate.operators.panel.panel import CurationPanel

#: The table's columns after the class, which say what a click on one of them looks for.
KINDS = ("matched", "only_a", "only_b", None)


def section(panel: types.Object, snapshot: Snapshot, one: Comparison, events: CurationPanel) -> None:
    """Matches per class, a histogram of agreement, and confidence against agreement."""
    a, b = one.pair
    matches, scores = snapshot.matches(one.pair), snapshot.agreement(one.pair)
    mean = "not known" if scores.mean is None else f"{scores.mean:.0%}"
    widgets.text(panel, "mean", f"Mean agreement of {a} and {b}: **{mean}** on **{scores.histogram.total:,}** images")
    if matches.unmatched_yet or scores.histogram.without:
        behind = [
            f"{matches.unmatched_yet:,} objects" if matches.unmatched_yet else "",
            f"{scores.histogram.without:,} images" if scores.histogram.without else "",
        ]
        said = " and ".join(part for part in behind if part)
        widgets.text(panel, "behind", f"{said} came after the comparison and are left out here.")
        widgets.button(
            panel,
            "again",
            "Compare again",
            events.ask,
            icon="compare",
            operator="compare_sources",
            form={"a": a, "b": b},
        )
    widgets.new_row(panel, "row_of_numbers")
    columns = {"label": "Class", "matched": "Both", "only_a": f"Only {a}", "only_b": f"Only {b}", "iou": "Mean IoU"}
    widgets.table(
        panel,
        "matches",
        columns,
        [_row(row) for row in (*matches.classes, matches.overall)],
        width=400,
        label="Objects that both found, or only one",
        description="Click a number to see its images. IoU says how far two outlines overlap: 1 is the same",
        on_click=events.pick_match,
    )
    data, layout = charts.histograms(
        {"agreement": scores.histogram}, {"agreement": charts.SHARED}, x="agreement", y="images"
    )
    widgets.chart(
        panel,
        "scores",
        data,
        layout,
        width=320,
        label="Agreement",
        description="1: both found the same; 0: nothing in common. Click a bar to see its images",
        on_click=events.pick_agreement,
    )
    _scatter(panel, snapshot, one, events)
    _thresholds(panel, snapshot, one, events)


def _row(row: MatchRow) -> dict[str, str]:
    iou = "-" if row.mean_iou is None else f"{row.mean_iou:.2f}"
    numbers = {"matched": f"{row.matched:,}", "only_a": f"{row.only_a:,}", "only_b": f"{row.only_b:,}"}
    return {"label": row.label, **numbers, "iou": iou}


def _scatter(panel: types.Object, snapshot: Snapshot, one: Comparison, events: CurationPanel) -> None:
    points = snapshot.scatter(one.pair, one.source)
    shown = f"{len(points.ids):,} of {points.total:,} images" if len(points.ids) < points.total else "each image"
    colour = source_colours(snapshot.dataset, snapshot.sources)[one.source]
    data, layout = charts.scatter(
        points,
        colour,
        x=f"mean confidence of {one.source}",
        y="agreement",
        low_x=one.min_confidence,
        low_y=one.min_agreement,
    )
    widgets.chart(
        panel,
        "points",
        data,
        layout,
        width=320,
        height=340,
        label="Confidence against agreement",
        description=f"A dot for {shown}. Draw around some to see them",
        on_selected=events.pick_points,
    )


def _thresholds(panel: types.Object, snapshot: Snapshot, one: Comparison, events: CurationPanel) -> None:
    room = widgets.item(200, maxWidth="320px", px=1)
    widgets.text(panel, "rules_title", "### Keep the good ones")
    widgets.choice(panel, "source", "Labels to judge", {s: s for s in one.pair}, events.choose)
    for name, label, value in (
        ("min_confidence", "Minimum confidence", one.min_confidence),
        ("min_agreement", "Minimum agreement", one.min_agreement),
    ):
        slider = types.SliderView(
            label=f"{label}: {value:.2f}",
            label_position="top",
            value_label_display="auto",
            value_precision=2,
            componentsProps=room,
        )
        panel.float(name, min=0, max=1, view=slider, on_change=events.choose)
    counted = snapshot.kept(one.rules)
    widgets.text(panel, "kept", f"**{counted.headline()}.** {counted.reasons()}")
    rules = one.rules
    widgets.button(
        panel,
        "curate",
        "Curate by these",
        events.ask,
        icon="filter_alt",
        main=True,
        operator="curate_samples",
        form={
            "source": rules.source,
            "against": rules.against,
            "min_confidence": rules.min_confidence,
            "min_agreement": rules.min_agreement,
        },
    )
