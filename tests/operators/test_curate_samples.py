"""Curate samples: rules that fit together, a live count, and a view that opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import fiftyone as fo

NAME = "curate_samples"


@pytest.fixture
def scored(twice_labelled: fo.Dataset) -> fo.Dataset:
    """Four samples with a score, and a comparison whose agreement is known."""
    import fiftyone as fo

    twice_labelled.set_values("uniqueness", [0.1, 0.2, 0.3, None])
    twice_labelled.add_sample_field("agreement_attention_shifted", fo.FloatField)
    twice_labelled.set_values("agreement_attention_shifted", [0.9, 0.8, 0.1, 0.7])
    return twice_labelled


def counted(form: dict[str, Any]) -> tuple[str, str]:
    view = form["count"]["view"]
    return view["label"], view["description"]


def test_form_discloses_agreement_step_by_step(app, twice_labelled: fo.Dataset) -> None:
    plain = app.form(NAME, twice_labelled, source="attention")
    assert plain["against"]["type"]["values"] == ["shifted"]
    assert "min_agreement" not in plain
    assert app.form(NAME, twice_labelled, source="attention", against="shifted")["min_agreement"]["required"]


@pytest.mark.parametrize(
    ("params", "headline", "description"),
    [
        ({}, "4 of 4 images kept", ""),
        ({"score_fields": ["uniqueness"]}, "4 of 4 images kept", ""),  # no limit yet
        ({"score_fields": ["uniqueness"], "least_uniqueness": 0.2}, "2 of 4 images kept", "Dropped: 2 by uniqueness"),
        ({"scores": {"uniqueness": [None, 0.2]}}, "2 of 4 images kept", "Dropped: 2 by uniqueness"),
        (
            {"against": "shifted", "min_agreement": 0.5, "min_confidence": 1.0},
            "0 of 4 images kept",
            "Dropped: 1 by agreement, 3 by confidence",
        ),
        ({"reviewed": "accepted"}, "0 of 4 images kept", "Dropped: 4 by review"),
        ({"reviewed": "not rejected"}, "4 of 4 images kept", ""),
        ({"near_duplicates": True}, "At most 4 of 4 images kept", "Found when it runs: near-duplicates."),
    ],
)
def test_form_counts_what_the_rules_keep(
    app, scored: fo.Dataset, params: dict[str, Any], headline: str, description: str
) -> None:
    form = app.form(NAME, scored, source="attention", **params)
    assert counted(form) == (headline, description)
    assert not [name for name, prop in form.items() if prop["invalid"]]


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"against": "shifted"}, "min_agreement", "say how far 'shifted' must agree"),
        ({"against": "shifted", "min_agreement": 0.5}, "against", "were not compared yet"),
        ({"min_confidence": 7}, "min_confidence", "7: it must be from 0 to 1"),
        ({"class_confidence": "car=7"}, "class_confidence", "7: it must be at most 1"),
        ({"class_confidence": "car"}, "class_confidence", "give a class and its least confidence"),
        ({"class_confidence": "tram=0.5"}, "class_confidence", "no such class"),
        ({"class_confidence": "car=0.5"}, None, ""),
        ({"min_area": 0.5, "max_area": 0.1}, "min_area", "0.5: it must not exceed the maximum area, which is 0.1"),
        ({"min_area": 0.1, "max_area": 0.5}, None, ""),
        (
            {"score_fields": ["seed"], "least_seed": 5, "most_seed": 2},
            "least_seed",
            "5, 2: the least value must not exceed",
        ),
        ({"max_per_class": 0}, "max_per_class", "0: it must be at least 1"),
        ({"near_duplicates": True, "distance": -1}, "distance", "-1: give a distance above 0"),
        ({"near_duplicates": False, "distance": -1}, None, ""),
        ({"save_as": "mine"}, "save_as", "there is a saved view 'mine' that curate did not make"),
        ({"save_as": "a,b"}, "save_as", "without commas"),
        ({"source": "nobody"}, "source", "no labels 'nobody' any more"),
    ],
)
def test_form_errors(app, twice_labelled: fo.Dataset, params: dict[str, Any], field: str | None, words: str) -> None:
    twice_labelled.set_values("seed", [1, 2, 3, 4])
    twice_labelled.save_view("mine", twice_labelled.limit(1))
    problems = app.problems(NAME, twice_labelled, **{"source": "attention", **params})
    assert list(problems) == ([field] if field else [])
    assert words in "".join(problems.values())


def test_run_saves_and_opens_the_view(app, painted: fo.Dataset) -> None:
    import fiftyone as fo

    label = painted.first().attention_instances.detections[0].label
    told = app.stream(NAME, painted, source="attention", classes=[label], save_as="some")
    painted.reload()
    kept = len(painted.load_saved_view("some"))
    assert 0 < kept == len(painted.match_tags("some"))
    shown = fo.DatasetView._build(painted, dict(told)["set_view"]["view"])
    assert shown.values("id") == painted.load_saved_view("some").values("id")
    assert app.said(told) == ("Success", f"{kept} of {len(painted)} samples kept as view 'some'")


def test_all_rules_reach_the_library(app, scored: fo.Dataset) -> None:
    import fiftyone.operators as foo

    rules = {
        "min_confidence": 0.01,
        "min_agreement": 0.2,
        "against": "shifted",
        "classes": ["car", "tree", "house", "bus"],
        "min_area": 0.001,
        "max_area": 0.9,
        "scores": {"uniqueness": [0.05, None]},
        "max_per_class": 3,
        "exact_duplicates": True,
        "near_duplicates": 0.02,
    }
    result = foo.get_operator(f"@diffucurate/diffucurate/{NAME}")(scored, source="attention", **rules)
    scored.reload()
    (key,) = [key for key in scored.list_runs() if key.startswith("curate")]
    settings = scored.get_run_info(key).config.settings
    assert {name: settings[name] for name in rules} == rules
    assert result["kept"] == len(scored.match_tags("curated")) <= 2


def test_labels_of_other_tools_can_be_curated(app, painted: fo.Dataset) -> None:
    painted.clone_sample_field("attention_instances", "ground_truth")
    painted.delete_sample_fields(["attention_instances", "attention_polygons"])
    assert counted(app.form(NAME, painted, source="ground_truth"))[0] == "4 of 4 images kept"
    told = app.stream(NAME, painted, source="ground_truth", min_confidence=0.01)
    assert app.said(told)[0] == "Success"


def test_agreement_left_from_another_choice_is_ignored(app, twice_labelled: fo.Dataset) -> None:
    told = app.stream(NAME, twice_labelled, source="attention", min_agreement=0.9)
    assert app.said(told)[0] == "Success"


def test_a_form_with_errors_does_not_run(app, painted: fo.Dataset) -> None:
    from fiftyone.operators.executor import ExecutionError

    painted.save_view("mine", painted.limit(1))
    with pytest.raises(ExecutionError, match="view 'mine' that curate did not make"):
        app.stream(NAME, painted, source="attention", save_as="mine")
    assert painted.distinct("tags") == []


def test_a_deleted_dataset_and_an_empty_view_are_named(app, painted: fo.Dataset) -> None:
    import fiftyone as fo

    gone = painted.clone()
    name = gone.name
    fo.delete_dataset(name)
    for form in (NAME, "export_samples", "undo_curation"):
        assert "deleted meanwhile" in app.problems(form, gone)["no_dataset"]
    painted.delete_samples(painted.values("id"))
    for form in (NAME, "export_samples"):
        assert "has no samples" in app.problems(form, painted, source="attention")["source"]
