"""Panel of an opened image: two views of it, one on the other with a slider between them, or beside each other.

The views are those of ``plugin.review.image_views``. The slider is a component of ``assets/app.js``, which the App
loads with the plugin: moving it calls nothing, and writes no panel state.
"""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError
from diffucurate.operators.panel import widgets
from diffucurate.operators.panel.choices import choices_of, opened
from diffucurate.operators.panel.empty_states import open_dataset
from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.review.image_views import HEATMAP, IMAGE, SOURCE, draw_view, views_of
from diffucurate.plugin.store.label_sources import comparable

#: The component of ``assets/app.js`` that shows both views.
COMPONENT = "DiffucurateSideBySide"

LEFT, RIGHT = "left", "right"


class SideBySidePanel(foo.Panel):
    """Two choices of a view, and both views."""

    NAME: ClassVar[str] = "side_by_side"
    LABEL: ClassVar[str] = "Side by side"
    ICON: ClassVar[str] = "compare"

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name=self.NAME,
            label=self.LABEL,
            icon=self.ICON,
            category=foo.categories.Categories.CURATE,
            surfaces="modal",
            help_markdown="Two label sources, a heatmap, or the image that this one was painted from, with a slider "
            "between them.",
        )

    def render(self, ctx: ExecutionContext) -> types.Property:
        panel, view = widgets.page()
        dataset, sample = open_dataset(ctx), ctx.current_sample
        if dataset is None or not sample:
            widgets.advice(panel, "advice", "No image is open", "Open an image of the grid.")
            return types.Property(panel, view=view)
        try:
            views = views_of(dataset, sample)
            chosen = _chosen(views, choices_of(ctx).get)
            colours = source_colours(dataset, comparable(dataset))
            images = {side: draw_view(dataset, sample, key, colours) for side, key in chosen.items()}
        except DiffucurateError as error:
            widgets.advice(panel, "advice", "This image cannot be shown", str(error))
            return types.Property(panel, view=view)
        for side, key in chosen.items():
            widgets.pick_one(panel, side, side.capitalize(), views, key, self.choose)
        captions = {f"{side}_caption": views[key] for side, key in chosen.items()}
        component = types.View(component=COMPONENT, componentsProps=widgets.item(), name="both", **images, **captions)
        panel.obj("both", view=component)
        return types.Property(panel, view=view)

    def on_load(self, ctx: ExecutionContext) -> None:
        """The panel was opened, or its page was loaded again."""
        opened(ctx)

    def on_change_current_sample(self, ctx: ExecutionContext) -> None:
        """Another image is shown: the same two views of it where it has them."""

    def choose(self, ctx: ExecutionContext) -> None:
        """Choose ``value`` for ``name``."""
        choices_of(ctx).set(**{ctx.params["name"]: ctx.params["value"]})


def _chosen(views: dict[str, str], state: Any) -> dict[str, str]:
    """Side -> key of its view: what was chosen where the image has it, else two sources, a heatmap, the image."""
    sources = [key for key in views if key.startswith(SOURCE)]
    heatmaps = [key for key in views if key.startswith(HEATMAP)]
    others = [key for key in views if key not in (IMAGE, *sources, *heatmaps)]
    likely = [*sources[:2], *others, *heatmaps, IMAGE]
    left = state(LEFT) if state(LEFT) in views else likely[0]
    right = state(RIGHT) if state(RIGHT) in views else next((key for key in likely if key != left), IMAGE)
    return {LEFT: left, RIGHT: right}
