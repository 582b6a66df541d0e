"""The form counts what will be made and puts what is wrong on its field; the run adds it and shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import fiftyone as fo


def problems(form: dict[str, Any]) -> dict[str, str]:
    """As the App's, those of the attributes' fields included."""
    inner = form.get("attributes", {}).get("type", {}).get("properties", {})
    return {name: prop["error_message"] for name, prop in {**form, **inner}.items() if prop["invalid"]}


@pytest.mark.parametrize(
    ("params", "summary"),
    [
        ({}, "2 images will be added"),
        ({"count": 3}, "6 images will be added"),
        ({"seeds_from": "these", "seeds": "1, 7"},
         "1 image will be added to 'noise'. 1 image of that kind is there already."),
        ({"attributes": {"colour": ["red", "green"]}}, "4 images will be added"),
        ({"seeds_from": "same", "attributes": {"colour": ["green"]}}, "2 images will be added"),
        ({"seeds_from": "same", "attributes": {"colour": ["green", "blue"]}},
         "2 images will be added to 'noise'. 2 images of that kind are there already."),
    ],
)  # fmt: skip
def test_form_counts_live(app, noise: fo.Dataset, params: dict[str, Any], summary: str) -> None:
    form = app.form_of("regenerate_with", noise, selected=noise.match({"prompt": "a red bus"}).values("id"), **params)
    assert problems(form) == {}
    notice = form["summary"]["view"]
    assert notice["label"].startswith(summary) and notice["description"]


def test_form_offers_the_attributes_that_the_images_have(app, noise: fo.Dataset) -> None:
    form = app.form("regenerate_with", noise, samples=noise.values("id")[:1])
    colour = form["attributes"]["type"]["properties"]["colour"]["view"]
    assert [choice["value"] for choice in colour["choices"]] == ["red", "blue"]
    assert colour["description"].startswith("Now red.")
    assert list(form["attributes"]["type"]["properties"]) == ["colour"]


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"count": 0}, "count", "at least 1"),
        ({"count": 10**9}, "count", "at most"),
        ({"seeds_from": "these", "seeds": "1, x"}, "seeds", "whole number"),
        ({"seeds_from": "these", "seeds": "-4"}, "seeds", "from 0"),
        ({"seeds_from": "these"}, "seeds", "seeds"),
        ({"seeds_from": "same"}, "seeds_from", "which attributes to change"),
        ({"attributes": {"colour": [" "]}}, "colour", "blank"),
        ({"seeds_from": "same", "attributes": {"colour": ["red"]}}, "nothing", "other seeds or other values"),
        ({"samples": ["f" * 24]}, "no_samples", "no samples"),
    ],
)
def test_what_is_wrong_stands_on_its_field(app, noise: fo.Dataset, params: dict[str, Any], field: str, words: str):
    form = app.form("regenerate_with", noise, **{"samples": noise.values("id")[:1], **params})
    found = problems(form)
    assert list(found) == [field] and words in found[field]


def test_nothing_chosen_and_images_of_the_persons_own(app, noise: fo.Dataset, dataset: fo.Dataset) -> None:
    import fiftyone as fo

    assert "select some in the grid" in app.problems("regenerate_with", noise)["no_samples"]
    dataset.add_sample(fo.Sample(filepath="/mine.png"))
    (message,) = app.problems("regenerate_with", dataset, samples=dataset.values("id")).values()
    assert "not painted by Diffucurate" in message


def test_run_adds_and_shows_the_new_images(app, noise: fo.Dataset) -> None:
    source = noise.first()
    ended = app.stream(
        "regenerate_with", noise, selected=(source.id,), seeds_from="new", count=2, attributes={"colour": ["green"]}
    )
    assert app.said(ended) == ("Success", "2 images added, each linked to the one it varies")
    made = noise.match({"source_id": source.id})
    assert made.values("prompt") == ["a green bus"] * 2
    (stage,) = dict(ended)["set_view"]["view"]
    assert dict(stage["kwargs"])["sample_ids"] == made.values("id")
    assert "reload_dataset" in dict(ended)


def test_call_from_python(app, noise: fo.Dataset) -> None:
    import fiftyone.operators as foo

    operator = foo.get_operator("@diffucurate/diffucurate/regenerate_with")
    assert operator(noise[:1], seeds=[40, 41])["added"] == 2
    assert operator(noise[:1], seeds=[41, 42])["added"] == 1
    assert operator(noise[:2], attributes={"colour": "green, with dots"})["added"] == 2
    assert noise.last().prompt == "a green, with dots bus"
