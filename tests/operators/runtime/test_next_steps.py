"""A run's dialog says nothing twice, and leads to the forms of what comes next, filled in and ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from diffucurate.operators import OPERATORS
from diffucurate.operators.runtime.next_steps import another_source
from diffucurate.operators.runtime.operator import Outcome

if TYPE_CHECKING:
    import fiftyone as fo

#: Operators after whose runs nothing is next: they change no dataset and make nothing to go on with, or their form
#: shows the result.
LAST = {"cancel_run", "preview_threshold", "release_models", "show_provenance", "undo_curation"}


def shown(told: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The fields of the dialog that ends a run."""
    return told[-1][1]["outputs"]["type"]["properties"]


def steps_in(told: list[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Label of a button -> the button."""
    row = shown(told)["next"]["type"]["properties"].values()
    return {prop["view"]["label"]: prop["view"] for prop in row}


def test_every_other_run_leads_on() -> None:
    base = OPERATORS[0].__mro__[1].next_steps
    assert {operator.NAME for operator in OPERATORS if operator.next_steps is base} == LAST


def test_labelling_twice_leads_to_comparing_and_that_to_curating_and_export(
    app, painted: fo.Dataset, tmp_path: Path
) -> None:
    told = app.stream("label_images", painted, source=["attention"])
    (first, *_) = steps_in(told)
    assert first == "Label by another source"
    painted.clone_sample_field("attention_instances", "shifted_instances")
    told = app.stream("label_images", painted, source=["attention"])
    compare = steps_in(told)["Compare shifted and attention"]
    assert (compare["operator"], compare["prompt"]) == ("@diffucurate/diffucurate/compare_sources", True)
    assert compare["params"] == {"a": "shifted", "b": "attention"}
    assert app.problems("compare_sources", painted, **compare["params"]) == {}
    told = app.stream("compare_sources", painted, **compare["params"])
    painted.reload()
    curate = steps_in(told)["Curate by agreement"]
    assert app.problems("curate_samples", painted, **curate["params"], min_agreement=0.5) == {}
    fuse = steps_in(told)["Fuse both"]
    assert app.problems("fuse_sources", painted, **fuse["params"]) == {}
    told = app.stream("curate_samples", painted, source="attention")
    painted.reload()
    export, train, undo = steps_in(told).values()
    assert app.problems("export_samples", painted, **export["params"], out_dir=str(tmp_path / "new")) == {}
    assert app.problems("train_segmenter", painted, **train["params"], val=0.5) == {}
    assert app.problems("undo_curation", painted, **undo["params"]) == {}


def test_what_the_sentence_says_is_not_said_again(app, painted: fo.Dataset) -> None:
    from diffucurate.operators.runtime.operator import _not_said_yet

    operator = OPERATORS[0]()
    result = {"dataset": "streets", "added": 4, "images": 1204, "steps": 20, "share": 0.5}
    outcome = Outcome("4 images added to 'streets', which now holds 1,204; 0.55 s each", result)
    assert list(_not_said_yet(operator.output(result), outcome).properties) == ["steps", "share"]


def test_a_word_and_a_token_lead_to_where_they_are_used(app, painted: fo.Dataset, tmp_path: Path) -> None:
    import fiftyone.operators as foo

    def next_form(name: str, result: dict[str, Any], **params: Any) -> tuple[str, dict[str, Any]]:
        operator = foo.get_operator(f"@diffucurate/diffucurate/{name}")
        (first, *_) = operator.next_steps(app._context(name, painted, params), Outcome("done", result))
        return first.operator, first.params

    word = tmp_path / "piano.safetensors"
    word.touch()
    name, params = next_form("train_token", {"word": "<piano>", "file": str(word)})
    form = app.form(name, None, **params)
    assert name == "generate_images" and form["preview"]["default"] == "- a photo of a \\<piano\\>"
    assert form["tokens"]["default"] is None or params["tokens"] == [f"<piano>={word}"]
    assert app.problems(name, None, **params) == {}
    name, params = next_form("learn_token", {"tokens": "night-car, night-bus"})
    assert (name, params["tokens"]) == ("label_images", ["night-car", "night-bus"])
    path = tmp_path / "more.json"
    path.write_text('{"captions": [{"caption": "a red car"}]}')
    name, params = next_form("expand_captions", {"path": str(path)}, classes=["car"])
    assert app.problems(name, None, **params) == {}
    assert app.form(name, None, **params)["preview"]["default"] == "- a red car"


@pytest.mark.parametrize("but", [(), ("yolov8",)])
def test_another_source_looks_at_the_image_alone(but: tuple[str, ...]) -> None:
    assert another_source(*but) not in ("attention", *but)
