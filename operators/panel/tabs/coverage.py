"""The fourth tab: which attribute values have images, and which combinations of two attributes have none."""

from __future__ import annotations

from collections.abc import Sequence

from fiftyone.operators import types

from diffucurate.generator.text.counted import counted
from diffucurate.operators.panel import charts, widgets
from diffucurate.operators.panel.actions import PanelActions
from diffucurate.plugin.statistics.snapshot import Pair, Snapshot

#: Missing combinations that are named in words; the table shows all.
NAMED = 8


def draw(
    panel: types.Object, snapshot: Snapshot, axes: tuple[str, str] | None, pair: Pair | None, actions: PanelActions
) -> None:
    """Images per value of every attribute, a table of two of them with what is missing, and what a compared source is
    weak at."""
    values = snapshot.images_per_value()
    most = max((count for counts in values.values() for count in counts.values()), default=0)
    for name, counts in values.items():
        figure = charts.images_per_value(counts, most)
        widgets.chart(
            panel,
            f"values_{name}",
            figure,
            width=260,
            height=charts.rows_high(counts),
            label=name,
            description=f"{counted(len(counts), 'value')}, images of each",
            on_click=actions.pick_value,
        )
    if axes is not None:
        _combinations(panel, snapshot, axes, actions)
    if pair is not None and snapshot.recipes:
        prediction, reference = pair
        widgets.text(
            panel,
            "weak",
            f"### What {prediction} finds badly\nA recipe with more of the classes and attribute values in which "
            f"{prediction} finds what {reference} has least well.",
        )
        widgets.button(
            panel, "generate_more", "Generate what is found badly", actions.generate_more, icon="auto_awesome"
        )


def _combinations(panel: types.Object, snapshot: Snapshot, axes: tuple[str, str], actions: PanelActions) -> None:
    x, y = axes
    widgets.text(panel, "combinations", "### Combinations of two attributes")
    names = {name: name for name in snapshot.attributes}
    widgets.pick_one(panel, "x", "Across", names, x, actions.choose)
    widgets.pick_one(panel, "y", "Down", {name: name for name in names if name != x}, y, actions.choose)
    table = snapshot.cross_table(x, y)
    figure = charts.cross_table(table)
    widgets.chart(
        panel,
        "cells",
        figure,
        height=charts.rows_high(table.ys, each=34, least=160),
        label=f"Images per {y} and {x}",
        description="Click a cell to see its images",
        on_click=actions.pick_cell,
    )
    missing = snapshot.cross_table(x, y, whole=True).missing
    hidden = [pair for pair in table.missing if pair not in missing]
    if hidden:
        no_image = "has no image" if len(hidden) == 1 else "have no image"
        combinations = counted(len(hidden), "combination")
        sentence = f"{combinations} {no_image} in this view, but in the whole dataset: {_named(hidden)}."
        widgets.text(panel, "hidden", sentence)
    if not missing:
        every = f"every combination of {x} and {y} that the recipes ask for has an image"
        whole = f"In the whole dataset {every}." if hidden else f"{every[0].upper()}{every[1:]}."
        widgets.text(panel, "missing", whole)
        return
    have = "combination has" if len(missing) == 1 else "combinations have"
    sentence = f"**{len(missing):,} {have} no image in the whole dataset:** {_named(missing)}."
    widgets.text(panel, "missing", sentence)
    widgets.button(
        panel, "generate_missing", "Generate what is missing", actions.generate_missing, icon="auto_awesome", main=True
    )


def _named(pairs: Sequence[tuple[str, str]]) -> str:
    """The first of some combinations, and how many more there are."""
    some = "; ".join(f"{second}, {first}" for first, second in pairs[:NAMED])
    return some + (f" and {len(pairs) - NAMED:,} more" if len(pairs) > NAMED else "")
