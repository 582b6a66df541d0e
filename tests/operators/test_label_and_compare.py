"""Label and compare: what the form says, and that a run leaves labels and their comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fiftyone as fo


def test_the_form_says_what_is_done(app, painted: fo.Dataset) -> None:
    form = app.form("label_and_compare", painted)
    label = form["about"]["view"]["label"]
    assert label == f"YOLOv8 looks at {len(painted)} images, then is compared with Attention"


def test_two_sources_are_compared_elsewhere(app, twice_labelled: fo.Dataset) -> None:
    assert "'Compare sources' does that" in app.problems("label_and_compare", twice_labelled)["none"]


def test_a_run_labels_and_compares(app, painted: fo.Dataset) -> None:
    steps = app.stream("label_and_compare", painted)
    outcome, message = app.said(steps)
    assert outcome == "Success"
    assert message.startswith(f"{len(painted)} images labelled by yolov8; attention and yolov8 agree to ")
    painted.reload()
    assert painted.list_evaluations() == ["compare_attention_yolov8"]
    assert {"reload_dataset", "open_panel"} <= set(dict(steps))
