"""A click on a number, a bar, a point or a cell: the grid shows the images behind it, and the panel a way back.

The base of the panel, which draws what can be clicked; ``plugin.statistics.drilldown`` says which images those are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from bson import json_util
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError
from diffucurate.operators.panel.choices import choices_of
from diffucurate.operators.panel.state import Settings
from diffucurate.plugin.fiftyone_private import stages_of, view_of
from diffucurate.plugin.statistics import drilldown
from diffucurate.plugin.statistics.counts import MATCH_KINDS, classes_by_frequency, sources_with_confidence
from diffucurate.plugin.statistics.histogram import edges
from diffucurate.plugin.statistics.snapshot import Pair, Snapshot, take_snapshot


class ClickablePanel(foo.Panel):
    """A panel whose numbers lead to images. The first click remembers the view before; ``back`` returns to it."""

    def pick_class(self, ctx: ExecutionContext) -> None:
        """A number in the table of classes."""
        snapshot, _ = self.now(ctx)
        labels = [*classes_by_frequency(snapshot.counts), None]
        row, column = ctx.params["row"], ctx.params["column"]
        if not 0 <= row < len(labels):
            return  # the headings
        sources = [snapshot.sources[column - 1]] if column else snapshot.sources
        view = drilldown.with_class(snapshot.view, sources, labels[row])
        self._show(ctx, view, f"{labels[row] or 'everything'} found by {' or '.join(sources)}", sources)

    def pick_confidence(self, ctx: ExecutionContext) -> None:
        """A bar in the histogram of confidence."""
        snapshot, _ = self.now(ctx)
        source = sources_with_confidence(snapshot.counts)[ctx.params["trace_idx"]].source
        bar = ctx.params["idx"]
        view = drilldown.with_confidence(snapshot.view, source, bar)
        self._show(ctx, view, f"{source} with confidence {_span(bar)}", [source])

    def pick_match(self, ctx: ExecutionContext) -> None:
        """A number in the table of matches."""
        snapshot, (a, b) = self._pair(ctx)
        labels = [*(row.label for row in snapshot.matches((a, b)).classes), None]
        row, column = ctx.params["row"], ctx.params["column"]
        if not 0 <= row < len(labels):
            return
        kind = (None, *MATCH_KINDS, None)[column]  # the first column names the class, the last is the mean IoU
        found = {"matched": "found by both", "only_a": f"found only by {a}", "only_b": f"found only by {b}"}
        view = drilldown.with_match(snapshot.view, a, b, labels[row], kind)
        who = found[kind] if kind else f"of {a} or {b}"
        self._show(ctx, view, f"{labels[row] or 'everything'} {who}", [b] if kind == "only_b" else [a])

    def pick_agreement(self, ctx: ExecutionContext) -> None:
        """A bar in the histogram of agreement."""
        (snapshot, (a, b)), bar = self._pair(ctx), ctx.params["idx"]
        self._show(ctx, drilldown.with_agreement(snapshot.view, a, b, bar), f"agreement {_span(bar)}")

    def pick_points(self, ctx: ExecutionContext) -> None:
        """Points inside a box or a lasso. After a redraw the App reports an empty selection, which is ignored."""
        ids = [point["id"] for point in ctx.params.get("data") or [] if point.get("id")]
        if ids:
            self._show(ctx, ctx.view.select(ids), "the dots that you drew around")

    def pick_point(self, ctx: ExecutionContext) -> None:
        """A point: its image is shown large."""
        if ctx.params.get("id"):
            ctx.ops.open_sample(id=ctx.params["id"])

    def pick_order(self, ctx: ExecutionContext) -> None:
        """All compared images, those with the least agreement first."""
        snapshot, (a, b) = self._pair(ctx)
        self._show(ctx, drilldown.least_agreeing(snapshot.view, a, b), "the least agreement first")

    def pick_value(self, ctx: ExecutionContext) -> None:
        """A bar in the chart of an attribute."""
        snapshot, _ = self.now(ctx)
        name = ctx.params["path"].removeprefix("values_")
        value = list(snapshot.images_per_value()[name])[ctx.params["idx"]]
        self._show(ctx, drilldown.with_attributes(snapshot.view, {name: value}), f"{name} {value}")

    def pick_cell(self, ctx: ExecutionContext) -> None:
        """A cell in the table of combinations."""
        snapshot, settings = self.now(ctx)
        values = dict(zip(settings.axes or (), (ctx.params["x"], ctx.params["y"]), strict=False))
        label = ", ".join(f"{name} {value}" for name, value in values.items())
        self._show(ctx, drilldown.with_attributes(snapshot.view, values), label)

    def show_each(self, ctx: ExecutionContext) -> None:
        """Each object in ``field`` of the view for itself, as a patch of its image."""
        self._show(ctx, ctx.view.to_patches(ctx.params["field"]), choices_of(ctx).get("picked"))

    def back(self, ctx: ExecutionContext) -> None:
        """Return to the view before the first click."""
        before = json_util.loads(choices_of(ctx).get("before") or "[]")
        self.forget(ctx)
        if before:
            ctx.ops.set_view(view=view_of(ctx.dataset, before))
        else:
            ctx.ops.clear_view()

    def show_all(self, ctx: ExecutionContext) -> None:
        """Leave the view and the sidebar's filters."""
        self.forget(ctx)
        ctx.ops.clear_sidebar_filters()
        ctx.ops.clear_view()

    def now(self, ctx: ExecutionContext) -> tuple[Snapshot, Settings]:
        """The numbers of the App's view, and what is chosen in the panel."""
        snapshot = take_snapshot(ctx.view)
        return snapshot, Settings.read(choices_of(ctx).get, snapshot)

    def _pair(self, ctx: ExecutionContext) -> tuple[Snapshot, Pair]:
        snapshot, settings = self.now(ctx)
        if settings.comparison is None:
            raise DatasetError("no two label sources are compared any more; run 'Compare sources'")
        return snapshot, settings.comparison.pair

    def _show(self, ctx: ExecutionContext, view: fo.DatasetView, label: str, sources: Sequence[str] = ()) -> None:
        """Make ``view`` the App's; remember the one before, unless that came from a click as well.

        ``label`` names in the panel what the grid then shows; ``sources`` are those whose objects were picked.
        """
        choices, current = choices_of(ctx), _stages(ctx)
        if not choices.get("picked") or choices.get("clicked") != _digest(current):
            choices.set(before=json_util.dumps(current))
        choices.set(clicked=_digest(stages_of(view)), picked=label, objects=list(sources))
        ctx.ops.set_view(view=view)

    def forget(self, ctx: ExecutionContext) -> None:
        """Forget the earlier view: ``back`` has none to return to."""
        choices_of(ctx).set(picked=None, before=None, clicked=None, objects=None)


def _stages(ctx: ExecutionContext) -> list[dict[str, Any]]:
    """The stages of the App's view. The sidebar's filters are not among them: they stay whatever view is set."""
    name = ctx.request_params.get("view_name")
    stages = ctx.request_params.get("view") or []
    view = ctx.dataset.load_saved_view(name) if name else view_of(ctx.dataset, stages)
    return stages_of(view)


def _digest(stages: list[dict[str, Any]]) -> str:
    return json.dumps(stages, default=json_util.default, sort_keys=True)


def _span(bar: int) -> str:
    low, high = edges(bar)
    return f"{low:.2f} to {high:.2f}"
