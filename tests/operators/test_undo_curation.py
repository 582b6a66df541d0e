"""Undo curation: the latest first, and nothing of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffucurate.plugin.curation.curate import curate

if TYPE_CHECKING:
    import fiftyone as fo

NAME = "undo_curation"


def test_form_lists_curations_and_tells_about_the_chosen_one(app, painted: fo.Dataset) -> None:
    assert "nothing was curated here yet" in app.problems(NAME, painted)["none"]
    curate(painted, source="attention")
    curate(painted, source="attention", min_confidence=0.01, save_as="sure")
    form = app.form(NAME, painted)
    assert form["curation"]["type"]["values"] == ["sure", "curated"]
    assert form["about"]["view"]["description"] == "Rules: labels of attention, confidence at least 0.01"
    chosen = app.form(NAME, painted, curation="curated")["about"]["view"]
    assert chosen["label"].endswith("4 of 4 images kept")
    assert "undone meanwhile" in app.problems(NAME, painted, curation="gone")["curation"]


def test_run_brings_back_what_was_replaced(app, painted: fo.Dataset) -> None:
    import fiftyone.operators as foo

    curate(painted, source="attention")
    curate(painted, source="attention", max_per_class=1)
    told = app.stream(NAME, painted, curation="curated")
    assert app.said(told) == ("Success", "Curation 'curated' is undone; the curation before it is back")
    assert {"clear_view", "reload_dataset"} <= set(dict(told))
    painted.reload()
    assert len(painted.load_saved_view("curated")) == 4
    result = foo.get_operator("@diffucurate/diffucurate/undo_curation")(painted)
    painted.reload()
    assert (result["saved_view"], painted.list_saved_views(), painted.distinct("tags")) == ("removed", [], [])
    assert "nothing was curated here yet" in app.problems(NAME, painted, curation="curated")["none"]
