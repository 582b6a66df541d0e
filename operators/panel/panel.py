"""Panel: the labels of the current view at a glance, and what to do about them.

Knows when to draw which section, and the buttons that open forms; ``operators.panel`` holds the sections and what
a click on a number does, ``plugin.statistics`` works out the numbers. Drawn anew for every event that changes it.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError
from diffucurate.generator.recipe.subset import as_yaml, recipe_for_missing
from diffucurate.operators.panel import widgets
from diffucurate.operators.panel.actions import Clickable
from diffucurate.operators.panel.state import (
    AGREEMENT,
    BETWEEN,
    COVERAGE,
    DISAGREEMENTS,
    NAMES,
    TABS,
    Settings,
)
from diffucurate.operators.panel.tabs import agreement, coverage, disagreements, overview
from diffucurate.plugin.fiftyone_private import shows_patches_or_frames
from diffucurate.plugin.statistics.coverage import combinations_of
from diffucurate.plugin.statistics.snapshot import Snapshot, take_snapshot

#: What the App reports again and again without anything having changed.
_TOLD = ("on_change", "on_change_view", "on_change_dataset", "choose")


class CurationPanel(Clickable):
    """Counts, agreement, disagreements and coverage of the current view, each number leading to its images."""

    NAME: ClassVar[str] = "curation"
    LABEL: ClassVar[str] = "Curation"
    ICON: ClassVar[str] = "fact_check"

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name=self.NAME,
            label=self.LABEL,
            icon=self.ICON,
            category=foo.categories.Categories.CURATE,
            help_markdown="What the label sources found in the current view, and where they disagree. "
            "Numbers, bars and dots can be clicked: the grid then shows the images behind them.",
        )

    def execute(self, ctx: ExecutionContext) -> Any:
        """As every panel, but an event after which all would look the same draws nothing."""
        if ctx.params.get("__method__") in _TOLD and _stamp(ctx) == ctx.panel.state.stamp:
            return None
        try:
            return super().execute(ctx)
        except DiffucurateError as error:  # a label source or comparison went away between drawing and clicking
            ctx.ops.notify(str(error), variant="error")
            return None

    def on_change(self, ctx: ExecutionContext) -> None:
        """The state has changed, maybe through an answer that came late: what is drawn follows the state."""

    def on_change_view(self, ctx: ExecutionContext) -> None:
        """Another view, other filters, or the dataset was loaded again: all is drawn anew."""

    def on_change_dataset(self, ctx: ExecutionContext) -> None:
        """Another dataset: what was picked in the last one is over."""
        self.forget(ctx)

    def choose(self, ctx: ExecutionContext) -> None:
        """A tab, a drop-down or a slider: its value is in the state already, so all is drawn anew."""
        ctx.panel.state.page = 0

    # What is drawn

    def render(self, ctx: ExecutionContext) -> types.Property:
        panel, view = widgets.page()
        problem = _problem(ctx)
        if problem is None:
            self._draw(panel, ctx)
        else:
            heading, sentence, action = problem
            widgets.advice(panel, "advice", heading, sentence)
            if action is not None:
                widgets.button(panel, "do_it", **action | {"on_click": getattr(self, action["on_click"])}, main=True)
        ctx.panel.state.stamp = _stamp(ctx)
        return types.Property(panel, view=view)

    def _draw(self, panel: types.Object, ctx: ExecutionContext) -> None:
        snapshot = take_snapshot(ctx.view)
        settings = Settings.read(ctx.panel.state.get, snapshot)
        self._header(panel, ctx, snapshot, settings)
        self._section(panel, snapshot, settings)
        # Only what is not there yet or not any more: meanwhile the person may have chosen something else.
        chosen, get = settings.chosen(), ctx.panel.state.get
        ctx.panel.state.set({name: value for name, value in chosen.items() if get(name) != value})

    def _header(self, panel: types.Object, ctx: ExecutionContext, snapshot: Snapshot, settings: Settings) -> None:
        tabs = types.TabsView()
        for value, label in TABS.items():
            tabs.add_choice(value, label=label)
        # No default: the App would put it over the tab that the panel was opened on.
        panel.enum("tab", tabs.values(), view=tabs, on_change=self.choose)
        picked = ctx.panel.state.picked
        if picked:
            widgets.text(panel, "now_shown", f"The grid shows **{picked}**.", width=200, alignSelf="center")
            widgets.button(panel, "back", "Back to the view before", self.back, icon="undo")
        if settings.tab in (AGREEMENT, DISAGREEMENTS) and len(snapshot.pairs) > 1:
            pairs = {BETWEEN.join(pair): BETWEEN.join(pair) for pair in snapshot.pairs}
            widgets.choice(panel, "pair", "Compare", pairs, self.choose)

    def _section(self, panel: types.Object, snapshot: Snapshot, settings: Settings) -> None:
        if settings.tab == COVERAGE:
            if snapshot.attributes:
                coverage.section(panel, snapshot, settings.axes, self)
            else:
                self._advise(
                    panel,
                    "No attributes",
                    "These images were not made from a recipe with attributes. Generate some "
                    "with a recipe, and this tab shows which of its combinations are missing.",
                    "Generate images",
                    "generate_images",
                    icon="auto_awesome",
                )
        elif not snapshot.sources:
            self._advise(
                panel,
                "No labels yet",
                f"{snapshot.images:,} images wait for labels. Let a label source find the "
                "objects in them; then this panel shows what it found.",
                "Label images",
                "label_images",
                icon="label",
            )
        elif settings.tab not in (AGREEMENT, DISAGREEMENTS):
            overview.section(panel, snapshot, self)
        elif len(snapshot.sources) == 1:
            other = next(source for source in ("yolov8", "attention") if source != snapshot.sources[0])
            self._advise(
                panel,
                "Only one label source",
                f"So far only {snapshot.sources[0]} has labelled these images. Label "
                "them with another source, and compare the two.",
                "Label with another source",
                "label_images",
                icon="label",
                form={"source": other},
            )
        elif settings.comparison is None:
            a, b = snapshot.sources[:2]
            self._advise(
                panel,
                "Not compared yet",
                f"{a} and {b} have labelled these images, but nobody knows yet how far they agree.",
                f"Compare {a} and {b}",
                "compare_sources",
                icon="compare",
                form={"a": a, "b": b},
            )
        elif settings.tab == AGREEMENT:
            agreement.section(panel, snapshot, settings.comparison, self)
        else:
            disagreements.section(panel, snapshot, settings.comparison, settings.page, self)

    def _advise(
        self,
        panel: types.Object,
        heading: str,
        sentence: str,
        label: str,
        operator: str,
        *,
        icon: str,
        form: dict[str, Any] | None = None,
    ) -> None:
        widgets.advice(panel, "advice", heading, sentence)
        widgets.button(panel, "do_it", label, self.ask, icon=icon, main=True, operator=operator, form=form or {})

    def actions(self, panel: types.Object, snapshot: Snapshot) -> None:
        """The buttons that open the operators' forms."""
        widgets.button(panel, "generate", "Generate", self.ask, icon="auto_awesome", operator="generate_images")
        widgets.button(panel, "label", "Label", self.ask, icon="label", operator="label_images")
        if len(snapshot.sources) > 1:
            a, b = snapshot.pairs[0] if snapshot.pairs else snapshot.sources[:2]
            widgets.button(
                panel, "compare", "Compare", self.ask, icon="compare", operator="compare_sources", form={"a": a, "b": b}
            )
        widgets.button(panel, "curate", "Curate", self.ask, icon="filter_alt", operator="curate_samples")
        widgets.button(panel, "export", "Export", self.ask, icon="file_download", operator="export_samples")

    # What can be clicked

    def ask(self, ctx: ExecutionContext) -> None:
        """Open the form of an operator, filled in as far as the panel knows."""
        ctx.prompt(f"{self.plugin_name}/{ctx.params['operator']}", params=ctx.params.get("form") or {})

    def generate_missing(self, ctx: ExecutionContext) -> None:
        """Open the form of ``generate_images`` with a recipe for one image of each missing combination.

        Where several recipes made the dataset, the latest that can make some of them.
        """
        snapshot, settings = self.now(ctx)
        if settings.axes is None:
            return
        x, y = settings.axes
        missing = snapshot.cross_table(x, y, whole=True).missing
        for recipe in snapshot.recipes:
            can = set(combinations_of(recipe, x, y))
            wanted = [{x: first, y: second} for first, second in missing if (first, second) in can]
            if wanted:
                reduced = recipe_for_missing(recipe, wanted, one_each=True)
                here = reduced.model_copy(update={"dataset": ctx.dataset.name})
                form = {"recipe_from": "pasted", "recipe": as_yaml(here)}
                ctx.prompt(f"{self.plugin_name}/generate_images", params=form)
                return

    def turn(self, ctx: ExecutionContext) -> None:
        """Another page of disagreements."""
        ctx.panel.state.page = max(0, int(ctx.panel.state.get("page", 0) or 0) + ctx.params["by"])

    def open_sample(self, ctx: ExecutionContext) -> None:
        """Show an image large."""
        ctx.ops.open_sample(id=ctx.params["id"])


def _problem(ctx: ExecutionContext) -> tuple[str, str, dict[str, Any] | None] | None:
    """Why there is nothing to show at all: heading, sentence and the button that helps."""
    generate = {"label": "Generate images", "icon": "auto_awesome", "on_click": "ask", "operator": "generate_images"}
    if _dataset(ctx) is None:
        return "No dataset is open", "Open one, or let a recipe make one.", generate
    if not len(ctx.dataset):
        return "This dataset holds no images", "Let a recipe paint some.", generate
    if shows_patches_or_frames(ctx.view) or ctx.dataset.media_type != "image":
        return "Whole images only", "Leave the patches or frames, and this panel shows what the labels say.", None
    if not take_snapshot(ctx.view).images:
        back = {"label": "Show all images", "icon": "undo", "on_click": "show_all"}
        return "No image in this view", "The view or the filters in the sidebar leave nothing over.", back
    return None


def _dataset(ctx: ExecutionContext) -> fo.Dataset | None:
    """The dataset that the App shows; None where it shows none, or one that was deleted meanwhile."""
    try:
        return ctx.dataset
    except ValueError:  # what FiftyOne raises for a dataset that it does not find
        return None


def _stamp(ctx: ExecutionContext) -> str | None:
    """What is drawn depends on this alone."""
    if _dataset(ctx) is None:
        return None
    get = ctx.panel.state.get
    return f"{take_snapshot(ctx.view).key} {json.dumps([get(name) for name in (*NAMES, 'picked')])}"
