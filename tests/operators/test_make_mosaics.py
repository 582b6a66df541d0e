"""Make mosaics: what is asked, and the new samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fiftyone as fo


def test_form_asks_for_grids(app, painted: fo.Dataset) -> None:
    form = app.form("make_mosaics", painted)
    assert form["count"]["default"] == 100 and "8x8" in form["grids"]["view"]["description"]
    problems = app.problems("make_mosaics", painted, grids="two", count=0, longest=-1)
    assert set(problems) == {"grids", "count", "longest"} and "as in 2x2" in problems["grids"]


def test_run_adds_samples(app, painted: fo.Dataset) -> None:
    before = len(painted)
    steps = app.stream("make_mosaics", painted, source="attention", grids="1x2, 2x1", count=2)
    outcome, message = app.said(steps)
    assert (outcome, message) == ("Success", "2 mosaics added, with the tag 'mosaic'")
    painted.reload()
    assert len(painted) == before + 2 and painted.match_tags("mosaic").count("attention_instances.detections")
