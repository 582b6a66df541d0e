"""Clicks in the tab on two sources' classes: a cell of the matrix, a bar of agreement, the worst of a class."""

from __future__ import annotations

from fiftyone.operators.executor import ExecutionContext

from diffucurate.operators.panel.clicks import ClickablePanel
from diffucurate.plugin.fiftyone_private import evaluation_id
from diffucurate.plugin.statistics import drilldown
from diffucurate.plugin.statistics.confusion import with_confusion
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.matches import NOTHING

#: FiftyOne's panel on evaluations.
EVALUATION_PANEL = "model_evaluation_panel_builtin"

#: Objects that are shown of the worst.
WORST = 60


class PairClicks(ClickablePanel):
    """A panel whose numbers on two sources lead to what they count."""

    def pick_confusion(self, ctx: ExecutionContext) -> None:
        """A cell of the confusion matrix."""
        snapshot, (a, b) = self._pair(ctx)
        row, column = str(ctx.params["y"]), str(ctx.params["x"])
        view = with_confusion(snapshot.view, a, b, row, column)
        words = {source: "nothing" if name == NOTHING else name for source, name in ((a, row), (b, column))}
        label = ", ".join(f"{name} by {source}" for source, name in words.items())
        self._show(ctx, view, label, [b] if row == NOTHING else [a])

    def pick_share(self, ctx: ExecutionContext) -> None:
        """A bar of agreement by class or by attribute, whose value is ``y``."""
        snapshot, (a, b) = self._pair(ctx)
        name = str(ctx.params["path"]).rpartition("agreement_")[2]
        value = str(ctx.params["y"])
        if name == "class":
            self._show(ctx, drilldown.with_match(snapshot.view, a, b, value, None), f"{value} of {a} or {b}", [a])
            return
        view = drilldown.with_attributes(snapshot.view, {name.removeprefix("of_"): value})
        self._show(ctx, drilldown.least_agreeing(view, a, b), f"{value}, the least agreement first")

    def pick_worst(self, ctx: ExecutionContext) -> None:
        """The worst objects of a class, each by itself."""
        snapshot, settings = self.now(ctx)
        if settings.comparison is None:
            return
        source, label = settings.comparison.source, ctx.params.get("label_of")
        other = next(name for name in settings.comparison.pair if name != source)
        view = drilldown.worst_objects(snapshot.view, source, other, label, WORST)
        self._show(ctx, view, f"the worst {label or 'objects'} of {source}")

    def open_evaluation(self, ctx: ExecutionContext) -> None:
        """FiftyOne's panel on the comparison."""
        _, pair = self._pair(ctx)
        key = field_names.evaluation(*pair)
        view = {"page": "evaluation", "init": True, "key": key, "id": evaluation_id(ctx.dataset, key)}
        ctx.ops.open_panel(EVALUATION_PANEL, layout="horizontal", state={"state": {"view": view}})
