"""The second tab: how far two sources agree, per class and per image, and what two thresholds would keep."""

from __future__ import annotations

from fiftyone.operators import types

from diffucurate.generator.text.counted import counted
from diffucurate.operators.panel import charts, widgets
from diffucurate.operators.panel.actions import PanelActions
from diffucurate.operators.panel.state import Comparison
from diffucurate.operators.panel.widgets import OperatorButton
from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.statistics.counts import MATCH_KINDS
from diffucurate.plugin.statistics.snapshot import Snapshot
from diffucurate.plugin.store.matches import ComparisonRow


def draw(panel: types.Object, snapshot: Snapshot, comparison: Comparison, actions: PanelActions) -> None:
    """Matches per class, a histogram of agreement, and confidence against agreement."""
    a, b = comparison.pair
    matches, scores = snapshot.matches(comparison.pair), snapshot.agreement_scores(comparison.pair)
    mean = "not known" if scores.mean is None else f"{scores.mean:.0%}"
    images = counted(scores.histogram.total, "image")
    widgets.text(panel, "mean", f"Mean agreement of {a} and {b}: **{mean}** on **{images}**")
    if matches.not_compared or scores.histogram.without:
        newer = {"object": matches.not_compared, "image": scores.histogram.without}
        counts = " and ".join(counted(count, noun) for noun, count in newer.items() if count)
        widgets.text(panel, "behind", f"{counts} came after the comparison and are left out here.")
        button = OperatorButton("Compare again", "compare_sources", "compare", {"a": a, "b": b})
        widgets.operator_button(panel, "again", button, actions.ask)
    widgets.new_row(panel, "row_of_numbers")
    kinds = dict(zip(MATCH_KINDS, ("Both", f"Only {a}", f"Only {b}"), strict=True))
    columns = {"label": "Class", **kinds, "iou": "Mean IoU"}
    widgets.table(
        panel,
        "matches",
        columns,
        [_row(row) for row in (*matches.classes, matches.overall)],
        width=400,
        label="Objects that both found, or only one",
        description="Click a number to see these objects. IoU says how far two outlines overlap: 1 is the same",
        on_click=actions.pick_match,
    )
    figure = charts.histograms({"agreement": scores.histogram}, {"agreement": charts.SHARED}, x="agreement", y="images")
    widgets.chart(
        panel,
        "scores",
        figure,
        width=320,
        label="Agreement",
        description="1: both found the same; 0: nothing in common. Click a bar to see its images",
        on_click=actions.pick_agreement,
    )
    _scatter(panel, snapshot, comparison, actions)
    _thresholds(panel, snapshot, comparison, actions)


def _row(row: ComparisonRow) -> dict[str, str]:
    iou = "-" if row.mean_iou is None else f"{row.mean_iou:.2f}"
    return {"label": row.label, **{kind: f"{getattr(row, kind):,}" for kind in MATCH_KINDS}, "iou": iou}


def _scatter(panel: types.Object, snapshot: Snapshot, comparison: Comparison, actions: PanelActions) -> None:
    points = snapshot.scatter(comparison.pair, comparison.source)
    shown = (
        f"{len(points.ids):,} of {counted(points.total, 'image')}" if len(points.ids) < points.total else "each image"
    )
    colour = source_colours(snapshot.dataset, snapshot.sources)[comparison.source]
    figure = charts.scatter(
        points,
        colour,
        x=f"mean confidence of {comparison.source}",
        y="agreement",
        low_x=comparison.min_confidence,
        low_y=comparison.min_agreement,
    )
    widgets.chart(
        panel,
        "points",
        figure,
        width=320,
        height=340,
        label="Confidence against agreement",
        description=f"A dot for {shown}. Click one to open it, or draw around some to see them",
        on_click=actions.pick_point,
        on_selected=actions.pick_points,
    )


def _thresholds(panel: types.Object, snapshot: Snapshot, comparison: Comparison, actions: PanelActions) -> None:
    widgets.text(panel, "rules_title", "### Keep the good ones")
    names = {source: source for source in comparison.pair}
    widgets.pick_one(panel, "source", "Labels to judge", names, comparison.source, actions.choose)
    for name, label, value in (
        ("min_confidence", "Minimum confidence", comparison.min_confidence),
        ("min_agreement", "Minimum agreement", comparison.min_agreement),
    ):
        tenths = {tenth / 10: f"{tenth / 10:g}" for tenth in range(10)}
        finer = {max(0.0, round(value - 0.01, 2)): "- 0.01", min(1.0, round(value + 0.01, 2)): "+ 0.01"}
        widgets.pick_one(panel, name, f"{label}: **{value:.2f}**", tenths, value, actions.choose, steps=finer)
    rules = comparison.rules
    kept = snapshot.kept(rules)
    widgets.text(panel, "kept", f"**{kept.headline()}.** {kept.reasons()}")
    form = {name: getattr(rules, name) for name in ("source", "against", "min_confidence", "min_agreement")}
    button = OperatorButton("Curate by these", "curate_samples", "filter_alt", form)
    widgets.operator_button(panel, "curate", button, actions.ask, main=True)
