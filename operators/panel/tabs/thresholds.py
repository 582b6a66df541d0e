"""The tab on thresholds of confidence, one per class: what they would keep, and which objects change side."""

from __future__ import annotations

from fiftyone.operators import types

from diffucurate.generator.text.counted import counted
from diffucurate.operators.panel import charts, widgets
from diffucurate.operators.panel.actions import PanelActions
from diffucurate.operators.panel.state import Thresholds
from diffucurate.operators.panel.widgets import OperatorButton
from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.statistics.side_by_side import strip
from diffucurate.plugin.statistics.snapshot import Snapshot

#: Images in the strip.
STRIP = 8


def draw(panel: types.Object, snapshot: Snapshot, thresholds: Thresholds, actions: PanelActions) -> None:
    """The histogram of a class with its threshold, the objects that change side, and what all thresholds keep."""
    source, label, value = thresholds.source, thresholds.label, thresholds.value
    histograms = snapshot.confidences_by_class(source)
    sources = [each for each in snapshot.sources if each in snapshot.with_confidence]
    widgets.pick_one(panel, "judged", "Labels of", {name: name for name in sources}, source, actions.choose)
    labels = {name: _label(name, thresholds.limits.get(name)) for name in histograms}
    widgets.pick_one(panel, "limited", "Class", labels, label, actions.choose)
    tenths = {tenth / 10: f"{tenth / 10:g}" for tenth in range(10)}
    finer = {max(0.0, round(value - 0.01, 2)): "- 0.01", min(1.0, round(value + 0.01, 2)): "+ 0.01"}
    title = f"Least confidence of {label}: **{value:.2f}**"
    widgets.pick_one(panel, "limit", title, tenths, value, actions.move_threshold, steps=finer)
    colours = source_colours(snapshot.dataset, snapshot.sources)
    bars = charts.histograms({source: histograms[label]}, colours, x="confidence", y="objects")
    widgets.chart(
        panel,
        "of_class",
        charts.with_threshold(bars, value),
        label=f"Confidence of {label} by {source}",
        description="Of all images of the view. Click a bar to move the threshold to where it begins",
        on_click=actions.move_to_bar,
    )
    _changed(panel, snapshot, thresholds, colours[source], actions)
    kept = snapshot.kept_by_thresholds(source, thresholds.limits)
    words = f"{kept.instances:,} of {counted(kept.of_instances, 'object')} kept, in {kept.images:,} of "
    widgets.text(panel, "kept", f"**{words}{counted(kept.of_images, 'image')}** that have some. Nothing is stored yet.")
    widgets.button(
        panel, "show_kept", "Show what is kept", actions.pick_kept, icon="visibility", main=True,
        disabled=not any(thresholds.limits.values()),
    )  # fmt: skip
    limits = ", ".join(f"{name}={limit:g}" for name, limit in thresholds.limits.items() if limit)
    button = OperatorButton(
        "Curate by these thresholds", "curate_samples", "filter_alt", {"source": source, "class_confidence": limits}
    )
    widgets.operator_button(panel, "curate", button, actions.ask)
    widgets.button(panel, "reset", "All thresholds to 0", actions.reset_thresholds, icon="restart_alt")


def _label(name: str, limit: float | None) -> str:
    return f"{name} {limit:.2f}" if limit else name


def _changed(
    panel: types.Object, snapshot: Snapshot, thresholds: Thresholds, colour: str, actions: PanelActions
) -> None:
    """Images with objects that the last move of the threshold put on the other side."""
    if thresholds.moved is None:
        return
    low, high = sorted(thresholds.moved)
    ids, objects = snapshot.between(thresholds.source, thresholds.label, low, high)
    side = "drop out" if thresholds.moved[1] > thresholds.moved[0] else "come back"
    words = f"**{counted(objects, 'object')}** of {thresholds.label} from {low:.2f} to {high:.2f} {side}"
    widgets.text(panel, "changed", f"{words}, in {counted(len(ids), 'image')}.")
    if not ids:
        return
    widgets.button(panel, "show_changed", "Show them", actions.pick_changed, icon="visibility")
    widgets.new_row(panel, "row_of_strip")
    bounds = (low, high)
    images = strip(snapshot.view, ids[:STRIP], thresholds.source, thresholds.label, bounds, colour)
    for index, (identifier, image) in enumerate(images.items()):
        view = types.ImageView(
            operator=actions.open_sample,
            params={"id": identifier},
            alt=f"{thresholds.label} that changes side",
            componentsProps={"item": {"sx": {"width": "auto"}}, "image": {"style": {"cursor": "pointer"}}},
        )
        panel.str(f"strip_{index}", default=image, view=view)
