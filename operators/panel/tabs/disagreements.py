"""The third tab: the images on which two sources agree least, with the labels of both, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fiftyone.operators import types

from diffucurate.generator.text.counted import counted
from diffucurate.operators.panel import widgets
from diffucurate.operators.panel.actions import PanelActions
from diffucurate.operators.panel.state import Comparison
from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.statistics.agreement import Disagreement
from diffucurate.plugin.statistics.side_by_side import HEIGHT, side_by_side
from diffucurate.plugin.statistics.snapshot import Pair, Snapshot

#: Images on a page.
PAGE = 6

#: The frame of an image and the text below it.
_FRAME = {"border": "1px solid", "borderColor": "divider", "borderRadius": 1, "p": 1.5, "boxSizing": "border-box"}


def draw(panel: types.Object, snapshot: Snapshot, comparison: Comparison, page: int, actions: PanelActions) -> None:
    """One page of images, the least agreement first; pages are numbered from 0."""
    a, b = comparison.pair
    total = snapshot.agreement_scores(comparison.pair).histogram.total
    first = page * PAGE
    shown = snapshot.disagreements(comparison.pair, first, PAGE)
    title = f"{first + 1:,} to {first + len(shown):,} of {counted(total, 'image')}" if shown else "No more images"
    widgets.text(panel, "shown", f"**{title}**, those on which {a} and {b} agree least first")
    widgets.button(panel, "previous", "Previous", actions.turn, icon="chevron_left", disabled=not first, by=-1)
    widgets.button(panel, "next", "Next", actions.turn, icon="chevron_right", disabled=first + PAGE >= total, by=1)
    widgets.button(panel, "order", "Show the grid in this order", actions.pick_order, icon="sort")
    widgets.new_row(panel, "row_of_images")
    colours = source_colours(snapshot.dataset, snapshot.sources)
    images = side_by_side(snapshot.view, [disagreement.id for disagreement in shown], a, b, colours)
    for index, disagreement in enumerate(shown):
        card = _card(disagreement, (a, b), images.get(disagreement.id), actions)
        view = types.GridView(gap=1, componentsProps=widgets.item(400, maxWidth="640px", **_FRAME))
        panel.define_property(f"image_{index}", card, view=view)


def _card(disagreement: Disagreement, pair: Pair, image: str | None, actions: PanelActions) -> types.Object:
    """``image`` is the data URI of both sources' labels, None where the file cannot be read."""
    a, b = pair
    card = types.Object()
    params = {"id": disagreement.id}
    if image is not None:
        style = {"cursor": "pointer", "maxWidth": "100%", "maxHeight": HEIGHT}
        view = types.ImageView(
            operator=actions.open_sample,
            params=params,
            alt=f"{a} on the left, {b} on the right",
            componentsProps={"image": {"style": style}},
        )
        card.str("image", default=image, view=view)
    card.str("words", default="  \n".join(_lines(disagreement, a, b)), view=types.MarkdownView())
    card.btn("open", "Open", icon="open_in_full", on_click=actions.open_sample, params=params)
    return card


def _lines(disagreement: Disagreement, a: str, b: str) -> list[str]:
    """What stands below an image."""
    lines = [f"**{disagreement.agreement:.0%} agreement** · left {a}, right {b}"]
    for source, labels in ((a, disagreement.only_a), (b, disagreement.only_b)):
        if labels:
            lines.append(f"Only {source}: {_listed(labels)}")
    if disagreement.matched:
        lines.append(f"Both: {disagreement.matched}")
    if disagreement.prompt:
        lines.append(f"*{disagreement.prompt}*")
    return lines


def _listed(labels: Sequence[str]) -> str:
    """As in 'car, tree x 2': the plural of a class is not known."""
    return ", ".join(label if count == 1 else f"{label} x {count}" for label, count in Counter(labels).items())
