"""The third section: the images on which two sources agree least, with what each of them drew, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fiftyone.operators import types

from diffucurate.operators.panel import widgets
from diffucurate.operators.panel.state import Comparison
from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.statistics.agreement import Disagreement
from diffucurate.plugin.statistics.side_by_side import HEIGHT, side_by_side
from diffucurate.plugin.statistics.snapshot import Pair, Snapshot

if TYPE_CHECKING:
    from diffucurate.operators.panel.panel import CurationPanel

#: Images on a page.
PAGE = 6


def section(panel: types.Object, snapshot: Snapshot, one: Comparison, number: int, events: CurationPanel) -> None:
    """One page of images, the worst first; pages are numbered from 0."""
    a, b = one.pair
    total = snapshot.agreement(one.pair).histogram.total
    first = number * PAGE
    page = snapshot.disagreements(one.pair, first, PAGE)
    shown = f"{first + 1:,} to {first + len(page):,} of {total:,} images" if page else "No more images"
    widgets.text(panel, "shown", f"**{shown}**, those on which {a} and {b} agree least first")
    widgets.button(panel, "previous", "Previous", events.turn, icon="chevron_left", disabled=not first, by=-1)
    widgets.button(panel, "next", "Next", events.turn, icon="chevron_right", disabled=first + PAGE >= total, by=1)
    widgets.button(panel, "order", "Show the grid in this order", events.pick_order, icon="sort")
    widgets.new_row(panel, "row_of_images")
    colours = source_colours(snapshot.dataset, snapshot.sources)
    pictures = side_by_side(snapshot.view, [each.id for each in page], a, b, colours)
    for index, each in enumerate(page):
        _card(panel, f"image_{index}", each, (a, b), pictures.get(each.id), events)


def _card(
    panel: types.Object, name: str, each: Disagreement, pair: Pair, picture: str | None, events: CurationPanel
) -> None:
    a, b = pair
    frame = {"border": "1px solid", "borderColor": "divider", "borderRadius": 1, "p": 1.5, "boxSizing": "border-box"}
    card = types.Object()
    if picture is not None:
        image = types.ImageView(
            operator=events.open_sample,
            params={"id": each.id},
            alt=f"{a} on the left, {b} on the right",
            componentsProps={"image": {"style": {"cursor": "pointer", "maxWidth": "100%", "maxHeight": HEIGHT}}},
        )
        card.str("picture", default=picture, view=image)
    lines = [f"**{each.agreement:.0%} agreement** · left {a}, right {b}"]
    lines += [f"Only {source}: {_listed(labels)}" for source, labels in ((a, each.only_a), (b, each.only_b)) if labels]
    if each.matched:
        lines.append(f"Both: {each.matched}")
    if each.prompt:
        lines.append(f"*{each.prompt}*")
    card.str("words", default="  \n".join(lines), view=types.MarkdownView())
    card.btn("open", "Open", icon="open_in_full", on_click=events.open_sample, params={"id": each.id})
    view = types.GridView(gap=1, componentsProps=widgets.item(400, maxWidth="640px", **frame))
    panel.define_property(name, card, view=view)


def _listed(labels: Sequence[str]) -> str:
    """'car, 2 trees' would need plurals that nobody gave us: 'car, tree x 2'."""
    return ", ".join(label if count == 1 else f"{label} x {count}" for label, count in Counter(labels).items())
