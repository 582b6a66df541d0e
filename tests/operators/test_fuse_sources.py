"""Fuse sources: which can be chosen, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fiftyone as fo


def test_form_offers_the_sources_there_are(app, twice_labelled: fo.Dataset) -> None:
    form = app.form("fuse_sources", twice_labelled)
    assert [choice["value"] for choice in form["sources"]["view"]["choices"]] == ["attention", "shifted"]
    assert (form["into"]["default"], form["lone"]["default"], form["method"]["default"]) == ("fused", 0.4, "auto")
    assert "at least two" in app.problems("fuse_sources", twice_labelled)["sources"]
    assert not app.problems("fuse_sources", twice_labelled, sources=["attention", "shifted"])


def test_one_source_is_too_few(app, painted: fo.Dataset) -> None:
    assert "holds only attention" in app.problems("fuse_sources", painted)["too_few_sources"]


def test_names_and_shares_are_checked(app, twice_labelled: fo.Dataset) -> None:
    chosen = {"sources": ["attention", "shifted"]}
    assert "stay as they are" in app.problems("fuse_sources", twice_labelled, **chosen, into="shifted")["into"]
    assert "not a name" in app.problems("fuse_sources", twice_labelled, **chosen, into="not a name")["into"]
    assert "above 0" in app.problems("fuse_sources", twice_labelled, **chosen, iou=0)["iou"]
    assert "from 0 to 1" in app.problems("fuse_sources", twice_labelled, **chosen, lone=7)["lone"]


def test_run_stores_the_fused_labels(app, twice_labelled: fo.Dataset) -> None:
    chosen = {"sources": ["attention", "shifted"], "into": "both", "method": "weighted"}
    steps = app.stream("fuse_sources", twice_labelled, **chosen, lone=0.0)
    outcome, message = app.said(steps)
    count = twice_labelled.count("both_instances.detections")
    assert outcome == "Success" and count > 0
    assert message.startswith(f"{count} instances in both on {len(twice_labelled)} images: ")
    assert "reload_dataset" in dict(steps)
