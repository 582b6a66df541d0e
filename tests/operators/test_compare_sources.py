"""Compare sources: which can be chosen, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffucurate.operators.runtime.operator import REFRESH_OPENED
from diffucurate.operators.runtime.uris import SHOW_GROUPS

if TYPE_CHECKING:
    import fiftyone as fo


def test_form_offers_the_sources_there_are(app, twice_labelled: fo.Dataset) -> None:
    form = app.form("compare_sources", twice_labelled)
    assert form["a"]["type"]["values"] == form["b"]["type"]["values"] == ["attention", "shifted"]
    assert (form["a"]["default"], form["b"]["default"]) == ("attention", "shifted")
    assert app.form("compare_sources", twice_labelled, a="shifted")["b"]["default"] == "attention"


def test_one_source_is_too_few(app, painted: fo.Dataset) -> None:
    assert "holds only attention" in app.problems("compare_sources", painted)["too_few_sources"]


def test_ground_truth_is_the_partner_of_a_single_source(app, painted: fo.Dataset) -> None:
    for name in ("boxes", "ground_truth"):
        painted.clone_sample_field("attention_instances", name)
    form = app.form("compare_sources", painted)
    assert form["a"]["type"]["values"] == ["attention", "boxes", "ground_truth"]
    assert (form["a"]["default"], form["b"]["default"]) == ("attention", "ground_truth")
    assert app.form("compare_sources", painted, a="ground_truth")["b"]["default"] == "attention"


def test_labels_of_another_kind_are_offered(app, painted: fo.Dataset) -> None:
    painted.clone_sample_field("attention_polygons", "outlines")
    form = app.form("compare_sources", painted)
    assert form["b"]["type"]["values"] == ["attention", "outlines"]
    assert not app.problems("compare_sources", painted, a="attention", b="outlines")
    told = app.stream("compare_sources", painted, a="attention", b="outlines")
    assert told[-1][1]["results"]["agreement"] > 0.9
    assert app.form("fuse_sources", painted)


def test_boxes_are_said_to_have_been_matched(app, painted: fo.Dataset) -> None:
    painted.clone_sample_field("attention_instances", "ground_truth")
    painted.set_field("ground_truth.detections.mask", None).save("ground_truth")
    told = app.stream("compare_sources", painted, a="attention", b="ground_truth")
    assert app.said(told)[1].endswith("matched by boxes, as there are no masks in ground_truth")
    assert told[-1][1]["results"]["matched_by"] == "boxes"


def test_a_source_is_not_compared_with_itself(app, twice_labelled: fo.Dataset) -> None:
    assert "other than" in app.problems("compare_sources", twice_labelled, a="shifted", b="shifted")["b"]


def test_run_stores_agreement_and_shows_a_table(app, twice_labelled: fo.Dataset) -> None:
    steps = app.stream("compare_sources", twice_labelled, a="attention", b="shifted")
    told = dict(steps)
    assert [name for name, params in steps if "progress" not in params.get("results", {})] == [
        "reload_dataset",
        "open_panel",
        REFRESH_OPENED,
        SHOW_GROUPS,  # the score has a place in the sidebar now
        "show_output",
    ]
    assert (told["open_panel"]["name"], told["open_panel"]["state"]) == ("curation", {"state": {"tab": "agreement"}})
    result = told["show_output"]["results"]
    total = twice_labelled.count("attention_instances.detections")
    overall = result["rows"][-1]
    assert int(overall["both"]) + int(overall["only attention"]) == total
    assert overall["only shifted"] == "0"
    assert result["evaluation"] in twice_labelled.list_evaluations()
    assert "rows" in told["show_output"]["outputs"]["type"]["properties"]
    twice_labelled.reload()
    assert None not in twice_labelled.values("agreement_attention_shifted")


def test_only_some_classes_and_another_least_iou(app, twice_labelled: fo.Dataset) -> None:
    label = twice_labelled.distinct("attention_instances.detections.label")[0]
    told = app.stream("compare_sources", twice_labelled, a="attention", b="shifted", classes=[label], iou=0.99)
    rows = told[-1][1]["results"]["rows"]
    assert {row["class"] for row in rows} == {label, "all"}
    key = max(twice_labelled.list_runs(method="diffucurate/compare"))
    settings = twice_labelled.get_run_info(key).config.settings
    assert (settings["classes"], settings["iou"]) == ([label], 0.99)


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [({"classes": ["lorry"]}, "classes", "no such class"), ({"iou": 0}, "iou", "at most 1")],
)
def test_what_cannot_be_matched_is_refused(
    app, twice_labelled: fo.Dataset, params: dict, field: str, words: str
) -> None:
    assert words in app.problems("compare_sources", twice_labelled, a="attention", b="shifted", **params)[field]
