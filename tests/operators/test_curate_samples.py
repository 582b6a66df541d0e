"""Curate samples: rules that fit together, and a view that opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo


def test_form_discloses_agreement_step_by_step(app, twice_labelled: fo.Dataset) -> None:
    plain = app.form("curate_samples", twice_labelled, source="attention")
    assert plain["against"]["type"]["values"] == ["shifted"]
    assert "min_agreement" not in plain
    assert app.form("curate_samples", twice_labelled, source="attention", against="shifted")["min_agreement"][
        "required"
    ]


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"against": "shifted"}, "against", "run 'Compare sources' first"),
        ({"min_area": 0.5, "max_area": 0.1}, "max_area", "0.1 is below the minimum 0.5"),
        ({"min_area": 0.1, "max_area": 0.5}, None, ""),
    ],
)
def test_form_errors(app, twice_labelled: fo.Dataset, params: dict, field: str | None, words: str) -> None:
    problems = app.problems("curate_samples", twice_labelled, source="attention", **params)
    assert list(problems) == ([field] if field else [])
    assert words in "".join(problems.values())


def test_run_saves_and_opens_the_view(app, painted: fo.Dataset) -> None:
    import fiftyone as fo

    label = painted.first().attention_instances.detections[0].label
    told = app.stream("curate_samples", painted, source="attention", classes=[label], view="some")
    painted.reload()
    kept = len(painted.load_saved_view("some"))
    assert 0 < kept == len(painted.match_tags("some"))
    shown = fo.DatasetView._build(painted, dict(told)["set_view"]["view"])
    assert shown.values("id") == painted.load_saved_view("some").values("id")
    assert app.said(told) == ("Success", f"{kept} of {len(painted)} samples kept as view 'some'")


def test_agreement_left_from_another_choice_is_ignored(app, twice_labelled: fo.Dataset) -> None:
    told = app.stream("curate_samples", twice_labelled, source="attention", min_agreement=0.9)
    assert app.said(told)[0] == "Success"


def test_name_of_somebody_elses_view_is_refused(app, painted: fo.Dataset) -> None:
    painted.save_view("mine", painted.limit(1))
    outcome, sentence = app.said(app.stream("curate_samples", painted, source="attention", view="mine"))
    assert outcome == "Error" and "'mine'" in sentence
