"""Clicks in the tab on thresholds. They move what is chosen in the panel; nothing is stored in the dataset."""

from __future__ import annotations

from fiftyone.operators.executor import ExecutionContext

from diffucurate.operators.panel.choices import choices_of
from diffucurate.operators.panel.clicks import ClickablePanel
from diffucurate.operators.panel.state import Thresholds, read_thresholds
from diffucurate.plugin.statistics.histogram import edges
from diffucurate.plugin.statistics.snapshot import Snapshot
from diffucurate.plugin.statistics.thresholds import between, with_thresholds


class ThresholdClicks(ClickablePanel):
    """A panel in which a threshold per class can be tried."""

    def move_threshold(self, ctx: ExecutionContext) -> None:
        """Move the threshold of the chosen class to ``value``."""
        self._move(ctx, float(ctx.params["value"]))

    def move_to_bar(self, ctx: ExecutionContext) -> None:
        """Move it to where bar ``idx`` of the histogram begins."""
        self._move(ctx, edges(int(ctx.params["idx"]))[0])

    def reset_thresholds(self, ctx: ExecutionContext) -> None:
        """All classes are kept whole again."""
        choices_of(ctx).set(limits=None, moved=None)

    def pick_kept(self, ctx: ExecutionContext) -> None:
        """What all thresholds keep."""
        snapshot, thresholds = self._thresholds(ctx)
        if thresholds is not None:
            view = with_thresholds(snapshot.view, thresholds.source, thresholds.limits)
            self._show(ctx, view, f"what the thresholds keep of {thresholds.source}", [thresholds.source])

    def pick_changed(self, ctx: ExecutionContext) -> None:
        """The objects that the last move put on the other side."""
        snapshot, thresholds = self._thresholds(ctx)
        if thresholds is not None and thresholds.moved is not None:
            low, high = sorted(thresholds.moved)
            view = between(snapshot.view, thresholds.source, thresholds.label, low, high)
            self._show(ctx, view, f"{thresholds.label} from {low:.2f} to {high:.2f}", [thresholds.source])

    def _move(self, ctx: ExecutionContext, value: float) -> None:
        _, thresholds = self._thresholds(ctx)
        if thresholds is None or value == thresholds.value:
            return
        choices, source, label = choices_of(ctx), thresholds.source, thresholds.label
        limits = {**(choices.get("limits") or {}), source: {**thresholds.limits, label: value}}
        choices.set(limits=limits, moved=(source, label, (thresholds.value, value)))

    def _thresholds(self, ctx: ExecutionContext) -> tuple[Snapshot, Thresholds | None]:
        snapshot, _ = self.now(ctx)
        return snapshot, read_thresholds(choices_of(ctx).get, snapshot)
