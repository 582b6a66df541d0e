"""Compare sources: which can be chosen, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fiftyone as fo


def test_form_offers_the_sources_there_are(app, twice_labelled: fo.Dataset) -> None:
    form = app.form("compare_sources", twice_labelled)
    assert form["a"]["type"]["values"] == form["b"]["type"]["values"] == ["attention", "shifted"]
    assert (form["a"]["default"], form["b"]["default"]) == ("attention", "shifted")
    assert app.form("compare_sources", twice_labelled, a="shifted")["b"]["default"] == "attention"


def test_one_source_is_too_few(app, painted: fo.Dataset) -> None:
    assert "holds only attention" in app.problems("compare_sources", painted)["too_few_sources"]


def test_a_source_is_not_compared_with_itself(app, twice_labelled: fo.Dataset) -> None:
    assert "other than" in app.problems("compare_sources", twice_labelled, a="shifted", b="shifted")["b"]


def test_run_stores_agreement_and_shows_a_table(app, twice_labelled: fo.Dataset) -> None:
    told = dict(app.stream("compare_sources", twice_labelled, a="attention", b="shifted"))
    result = told["show_output"]["results"]
    total = twice_labelled.count("attention_instances.detections")
    overall = result["rows"][-1]
    assert int(overall["both"]) + int(overall["only attention"]) == total
    assert overall["only shifted"] == "0"
    assert result["evaluation"] in twice_labelled.list_evaluations()
    assert "rows" in told["show_output"]["outputs"]["type"]["properties"]
    twice_labelled.reload()
    assert None not in twice_labelled.values("agreement_attention_shifted")
