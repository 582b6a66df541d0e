"""Panel: numbers about the labels of the current view, and buttons for the operators that change them.

Knows when to draw which tab, and the buttons that open forms; ``operators.panel.clicks`` knows what a click on a number
does, ``plugin.statistics`` computes the numbers. Drawn anew for every event that changes what it shows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError
from diffucurate.generator.recipe.files import recipe_text
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.recipe.subset import recipe_for_missing
from diffucurate.operators.panel import widgets
from diffucurate.operators.panel.choices import choices_of, opened
from diffucurate.operators.panel.empty_states import (
    Advice,
    advice_on_tab,
    advice_on_view,
    open_dataset,
)
from diffucurate.operators.panel.pair_clicks import PairClicks
from diffucurate.operators.panel.run_clicks import RunClicks
from diffucurate.operators.panel.state import (
    AGREEMENT,
    BETWEEN,
    CLASSES,
    COVERAGE,
    DISAGREEMENTS,
    DUPLICATES,
    HISTORY,
    NAMES,
    ON_PAIRS,
    TABS,
    THRESHOLDS,
    Settings,
    read_thresholds,
)
from diffucurate.operators.panel.tabs import agreement, classes, coverage, disagreements, duplicates, history, overview
from diffucurate.operators.panel.tabs import thresholds as threshold_tab
from diffucurate.operators.panel.threshold_clicks import ThresholdClicks
from diffucurate.operators.panel.widgets import OperatorButton
from diffucurate.plugin.statistics.coverage import combinations_of
from diffucurate.plugin.statistics.snapshot import Snapshot, take_snapshot
from diffucurate.plugin.store.label_sources import instances_field

#: Events that the App also sends where nothing has changed.
_REPEATED = ("on_change_view", "on_change_dataset")


class CurationPanel(PairClicks, RunClicks, ThresholdClicks):
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
        """As every panel, but an event that changes nothing in what is shown draws nothing."""
        if ctx.params.get("__method__") in _REPEATED and _stamp(ctx) == choices_of(ctx).get("stamp"):
            return None
        try:
            return super().execute(ctx)
        except DiffucurateError as error:  # a label source or comparison went away between drawing and clicking
            ctx.ops.notify(str(error), variant="error")
            return None

    def on_load(self, ctx: ExecutionContext) -> None:
        """The panel was opened, or its page was loaded again."""
        opened(ctx)

    def on_change_view(self, ctx: ExecutionContext) -> None:
        """Another view, other filters, or the dataset was loaded again: all is drawn anew."""

    def on_change_dataset(self, ctx: ExecutionContext) -> None:
        """Another dataset: choices of the last one no longer apply."""
        self.forget(ctx)
        choices_of(ctx).set(groups=None, sure=None, limits=None, moved=None)

    def choose(self, ctx: ExecutionContext) -> None:
        """A tab or another choice: all is drawn anew with ``value`` for ``name``."""
        choices_of(ctx).set(**{ctx.params["name"]: ctx.params["value"]}, page=0, sure=None)

    # What is drawn

    def render(self, ctx: ExecutionContext) -> types.Property:
        panel, view = widgets.page()
        advice = advice_on_view(ctx)
        if advice is None:
            self._draw(panel, ctx)
        else:
            self._way_back(panel, ctx, ())
            self._advise(panel, advice)
        choices_of(ctx).set(stamp=_stamp(ctx))
        return types.Property(panel, view=view)

    def _draw(self, panel: types.Object, ctx: ExecutionContext) -> None:
        snapshot = take_snapshot(ctx.view)
        settings = Settings.read(choices_of(ctx).get, snapshot)
        self._header(panel, ctx, snapshot, settings)
        self._tab(panel, ctx, snapshot, settings)

    def _header(self, panel: types.Object, ctx: ExecutionContext, snapshot: Snapshot, settings: Settings) -> None:
        for value, label in TABS.items():
            widgets.tab(panel, value, label, self.choose, chosen=value == settings.tab)
        widgets.new_row(panel, "row_of_tabs")
        self._way_back(panel, ctx, snapshot.sources)
        if settings.tab in ON_PAIRS and len(snapshot.pairs) > 1:
            pairs = {BETWEEN.join(pair): BETWEEN.join(pair) for pair in snapshot.pairs}
            shown = BETWEEN.join(settings.comparison.pair) if settings.comparison else None
            widgets.pick_one(panel, "pair", "Compare", pairs, shown, self.choose)

    def _way_back(self, panel: types.Object, ctx: ExecutionContext, sources: Sequence[str]) -> None:
        """What a click led to, the way back, and, of a source that there is, its objects one by one."""
        choices = choices_of(ctx)
        if not choices.get("picked"):
            return
        widgets.text(panel, "now_shown", f"The grid shows **{choices.get('picked')}**.", width=200, alignSelf="center")
        widgets.button(panel, "back", "Back to the view before", self.back, icon="undo")
        picked = choices.get("objects") or []
        if len(picked) == 1 and picked[0] in sources:
            field = instances_field(ctx.dataset, picked[0])
            widgets.button(panel, "each", "Show each object", self.show_each, icon="grid_view", field=field)

    def _tab(self, panel: types.Object, ctx: ExecutionContext, snapshot: Snapshot, settings: Settings) -> None:
        comparison, choices = settings.comparison, choices_of(ctx)
        if (advice := advice_on_tab(snapshot, settings)) is not None:
            self._advise(panel, advice)
        elif settings.tab == COVERAGE:
            pair = None if comparison is None else comparison.pair
            coverage.draw(panel, snapshot, settings.axes, pair, self)
        elif settings.tab == AGREEMENT and comparison is not None:
            agreement.draw(panel, snapshot, comparison, self)
        elif settings.tab == CLASSES and comparison is not None:
            classes.draw(panel, snapshot, comparison, self)
        elif settings.tab == THRESHOLDS and (thresholds := read_thresholds(choices.get, snapshot)) is not None:
            threshold_tab.draw(panel, snapshot, thresholds, self)
        elif settings.tab == DUPLICATES:
            duplicates.draw(panel, snapshot, choices.get("groups"), self)
        elif settings.tab == HISTORY:
            history.draw(panel, snapshot, choices.get("sure"), self)
        elif settings.tab == DISAGREEMENTS and comparison is not None:
            disagreements.draw(panel, snapshot, comparison, settings.page, self)
        else:
            overview.draw(panel, snapshot, self)

    def _advise(self, panel: types.Object, advice: Advice) -> None:
        widgets.advice(panel, "advice", advice.heading, advice.sentence)
        if isinstance(advice.button, OperatorButton):
            widgets.operator_button(panel, "do_it", advice.button, self.ask, main=True)
        elif advice.button is not None:
            widgets.button(panel, "do_it", advice.button.label, self.show_all, icon=advice.button.icon, main=True)

    def operator_buttons(self, panel: types.Object, snapshot: Snapshot) -> None:
        """The buttons that open the operators' forms."""
        buttons = [
            ("generate", OperatorButton("Generate", "generate_images", "auto_awesome")),
            ("label", OperatorButton("Label", "label_images", "label")),
            ("curate", OperatorButton("Curate", "curate_samples", "filter_alt")),
            ("export", OperatorButton("Export", "export_samples", "file_download")),
        ]
        if len(snapshot.sources) > 1:
            a, b = snapshot.pairs[0] if snapshot.pairs else snapshot.sources[:2]
            buttons.insert(2, ("compare", OperatorButton("Compare", "compare_sources", "compare", {"a": a, "b": b})))
        for name, button in buttons:
            widgets.operator_button(panel, name, button, self.ask)

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
            possible = set(combinations_of(recipe, x, y))
            wanted = [{x: first, y: second} for first, second in missing if (first, second) in possible]
            if wanted:
                reduced = recipe_for_missing(recipe, wanted, one_each=True)
                self._open_generate(ctx, reduced.model_copy(update={"dataset": ctx.dataset.name}))
                return

    def generate_more(self, ctx: ExecutionContext) -> None:
        """Open the form of ``generate_images`` with a recipe for more of what the first of two compared sources finds
        badly, the second being the reference."""
        from diffucurate.plugin.segmenters.weaknesses import generate_more

        _, settings = self.now(ctx)
        if settings.comparison is not None:
            prediction, reference = settings.comparison.pair
            more = generate_more(ctx.view, reference, prediction)
            self._open_generate(ctx, more.recipe)

    def _open_generate(self, ctx: ExecutionContext, recipe: Recipe) -> None:
        form = {"recipe_from": "pasted", "recipe": recipe_text(recipe)}
        ctx.prompt(f"{self.plugin_name}/generate_images", params=form)

    def turn(self, ctx: ExecutionContext) -> None:
        """Another page of disagreements."""
        choices = choices_of(ctx)
        choices.set(page=max(0, int(choices.get("page") or 0) + ctx.params["by"]))

    def open_sample(self, ctx: ExecutionContext) -> None:
        """Show an image large."""
        ctx.ops.open_sample(id=ctx.params["id"])


def _stamp(ctx: ExecutionContext) -> str | None:
    """Changes whenever the panel has to be drawn anew; None without a dataset."""
    if open_dataset(ctx) is None:
        return None
    get = choices_of(ctx).get
    return f"{take_snapshot(ctx.view).key} {json.dumps([get(name) for name in (*NAMES, 'picked')])}"
