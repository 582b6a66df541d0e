"""The interface of the panel for its tabs, which know nothing else of the panel."""

from __future__ import annotations

from typing import Protocol

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.plugin.statistics.snapshot import Snapshot


class PanelActions(Protocol):
    """The handlers that a tab gives to what it draws, and the row of buttons above a tab.

    Handlers read ``ctx.params``: those that the App sends with a click, or those that a button was drawn with.
    """

    def operator_buttons(self, panel: types.Object, snapshot: Snapshot) -> None:
        """Draw the buttons that open operators' forms."""

    def choose(self, ctx: ExecutionContext) -> None:
        """Choose ``value`` for ``name``: a tab, a pair, a source, an attribute or a threshold."""

    def ask(self, ctx: ExecutionContext) -> None:
        """Open the form of ``operator``, filled in with ``form``."""

    def turn(self, ctx: ExecutionContext) -> None:
        """Go ``by`` pages further."""

    def open_sample(self, ctx: ExecutionContext) -> None:
        """Show the image with ``id`` large."""

    def generate_missing(self, ctx: ExecutionContext) -> None:
        """Open the form of ``generate_images`` with a recipe for the missing combinations."""

    def generate_more(self, ctx: ExecutionContext) -> None:
        """Open the form of ``generate_images`` with a recipe for more of what a compared source finds badly."""

    def pick_class(self, ctx: ExecutionContext) -> None:
        """Show the objects behind a cell (``row``, ``column``) of the table of classes."""

    def pick_confidence(self, ctx: ExecutionContext) -> None:
        """Show the objects behind bar ``idx`` of source ``trace_idx`` in the histogram of confidence."""

    def pick_match(self, ctx: ExecutionContext) -> None:
        """Show the objects behind a cell (``row``, ``column``) of the table of matches."""

    def pick_agreement(self, ctx: ExecutionContext) -> None:
        """Show the images behind bar ``idx`` of the histogram of agreement."""

    def pick_points(self, ctx: ExecutionContext) -> None:
        """Show the images whose points (``data``) were selected."""

    def pick_point(self, ctx: ExecutionContext) -> None:
        """Show the image of the point with ``id`` large."""

    def pick_order(self, ctx: ExecutionContext) -> None:
        """Show all compared images, those with the least agreement first."""

    def pick_value(self, ctx: ExecutionContext) -> None:
        """Show the images behind bar ``idx`` of the attribute that the chart ``path`` is about."""

    def pick_cell(self, ctx: ExecutionContext) -> None:
        """Show the images that have the values ``x`` and ``y`` of the two attributes in the table."""

    def pick_confusion(self, ctx: ExecutionContext) -> None:
        """Show the objects in the cell ``x`` (class by the second source), ``y`` (by the first) of the matrix."""

    def pick_share(self, ctx: ExecutionContext) -> None:
        """Show what is behind the bar of value ``y`` in the chart ``path`` of agreement by class or by attribute."""

    def pick_worst(self, ctx: ExecutionContext) -> None:
        """Show the worst objects of the class ``label_of``, or of all, each by itself."""

    def open_evaluation(self, ctx: ExecutionContext) -> None:
        """Open FiftyOne's panel on the comparison."""

    def find_duplicates(self, ctx: ExecutionContext) -> None:
        """Look for near-duplicates in the view."""

    def pick_group(self, ctx: ExecutionContext) -> None:
        """Show the images of group ``row`` of near-duplicates, or of all."""

    def pick_run(self, ctx: ExecutionContext) -> None:
        """Show the images of the run in ``row``."""

    def undo_review(self, ctx: ExecutionContext) -> None:
        """Take all decisions of the review ``key`` back, when asked a second time."""

    def move_threshold(self, ctx: ExecutionContext) -> None:
        """Move the threshold of the chosen class to ``value``."""

    def move_to_bar(self, ctx: ExecutionContext) -> None:
        """Move it to where bar ``idx`` of the histogram begins."""

    def reset_thresholds(self, ctx: ExecutionContext) -> None:
        """Move the thresholds of all classes to 0."""

    def pick_kept(self, ctx: ExecutionContext) -> None:
        """Show the objects that the thresholds keep."""

    def pick_changed(self, ctx: ExecutionContext) -> None:
        """Show the objects that the last move of a threshold put on the other side."""
