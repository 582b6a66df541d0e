"""Variations and replaced objects from the App: what the forms offer and refuse, and what a run leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import fiftyone as fo

QUICK = {"steps": 2}


@pytest.fixture
def target(painted: fo.Dataset) -> Iterator[str]:
    import fiftyone as fo

    name = f"{painted.name}-new"
    yield name
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def test_forms_say_what_will_be_painted(app, painted: fo.Dataset) -> None:
    form = app.form("vary_images", painted, prompt="a {colour} car", changes=["colour=red,blue"], seeds=2)
    assert not any(prop["invalid"] for prop in form.values())
    label = form["summary"]["view"]["label"]
    assert label.startswith("16 images from 4 images, for dataset") and label.endswith("labelled as car.")
    assert form["summary"]["view"]["description"].startswith("About ")
    assert form["preview"]["default"].splitlines() == ["- a red car", "- a blue car"]
    assert [choice["value"] for choice in form["carry"]["view"]["choices"]] == ["attention"]
    form = app.form("replace_objects", painted, prompt="a bus", classes=["bus"])
    assert not any(prop["invalid"] for prop in form.values())
    assert [choice["value"] for choice in form["field"]["view"]["choices"]] == ["attention"]


@pytest.mark.parametrize(
    ("name", "params", "field", "words"),
    [
        ("vary_images", {"changes": ["time=night"]}, "not_ready", "none of the init images can be used"),
        ("vary_images", {"prompt": "a car", "strength": "2"}, "strength", "at most 1"),
        ("vary_images", {"prompt": "a car", "strength": "much"}, "strength", "give numbers"),
        ("vary_images", {"prompt": "a car", "strength": "0.01"}, "strength", "of 20 steps it leaves none"),
        ("vary_images", {"prompt": "a car", "changes": ["night"]}, "changes", "as in time=night"),
        ("vary_images", {"prompt": "a {colour} car"}, "prompt", "is not an attribute"),
        ("vary_images", {"prompt": "a piano"}, "classes", "name what to label"),
        ("vary_images", {"prompt": "a car", "seeds": 0}, "seeds", "at least 1"),
        ("vary_images", {"prompt": "a car", "save_as": "../up"}, "save_as", "use letters"),
        ("vary_images", {"prompt": "a car", "count": 0}, "count", "at least 1"),
        ("vary_images", {"prompt": "a car", "advanced": True, "device": "gpu"}, "device", "'gpu' is unknown; use cpu"),
        ("vary_images", {"prompt": "a car", "model_from": "local", "model": "/nowhere"}, "model", "/nowhere"),
        ("replace_objects", {"prompt": "a car", "replace": ["piano"]}, "replace", "piano: 'attention' holds"),
        ("replace_objects", {"prompt": "a car", "margin": 3.0}, "margin", "from 0 to 2"),
        ("replace_objects", {"prompt": "a car, a bus", "shape": True}, "prompt", "has to name one class"),
        ("paint_by_masks", {"prompt": "a piano"}, "classes", "none of 'attention' is named in the prompt"),
        ("paint_by_masks", {"prompt": "a {colour} car"}, "prompt", "is not an attribute"),
        ("paint_by_masks", {"until": 0.0}, "until", "above 0 and at most 1"),
        ("paint_by_masks", {"boost": 0.5}, "boost", "from 1 to 1000"),
        ("paint_by_masks", {"words": "some"}, "words", "'shared' or 'own'"),
        ("paint_by_masks", {"field": "gone"}, "field", "no labels 'gone' any more"),
    ],
)
def test_what_is_wrong_stands_on_its_field(
    app, painted: fo.Dataset, name: str, params: dict[str, Any], field: str, words: str
) -> None:
    found = app.problems(name, painted, **params)
    assert list(found) == [field] and words in found[field]


@pytest.mark.parametrize("name", ["vary_images", "replace_objects", "expand_captions"])
def test_a_form_opens_without_red_and_cannot_be_sent_off_yet(app, painted: fo.Dataset, name: str) -> None:
    from fiftyone.operators.executor import ExecutionContext, Executor, ValidationContext

    fields = app.form(name, painted)
    assert not any(field["invalid"] for field in fields.values())
    assert name == "expand_captions" or fields["not_ready"]["view"]["name"] == "Notice"
    operator = app._operator(name)
    params = {field: prop["default"] for field, prop in fields.items() if prop["default"] is not None}
    context = ExecutionContext(app._request(painted, params), Executor(), operator_uri=operator.uri)
    form = operator.resolve_type(context, "inputs")
    assert ValidationContext(context, form, operator).invalid


def test_images_painted_by_masks(app, painted: fo.Dataset, target: str, random_pipeline: Any) -> None:
    import fiftyone as fo

    form = app.form("paint_by_masks", painted)
    assert not any(prop["invalid"] for prop in form.values())
    assert form["summary"]["view"]["label"].startswith("4 images from 4 images, for dataset")
    assert form["preview"]["default"] == "- a photo of {labels}"
    settings = {"field": "attention", "save_as": target, "model": str(random_pipeline), "count": 2, **QUICK}
    told = app.stream("paint_by_masks", painted, **settings)
    assert app.said(told) == ("Success", f"2 images added to '{target}', which now holds 2")
    made = fo.load_dataset(target)
    assert set(made.values("task")) == {"mask2img"} and set(made.values("layout.field")) == {"attention"}
    assert made.first().layout_instances.detections


def test_nothing_to_replace(app, dataset: fo.Dataset) -> None:
    import fiftyone as fo

    dataset.add_sample(fo.Sample(filepath="/mine.png"))
    assert "holds no labels with objects" in app.problems("paint_by_masks", dataset)["no_field"]
    assert "holds no labels with objects" in app.problems("replace_objects", dataset)["no_field"]


def test_a_run_adds_images_and_opens_their_dataset(app, painted: fo.Dataset, target: str, random_pipeline: Any) -> None:
    import fiftyone as fo

    told = app.stream(
        "replace_objects",
        painted,
        field="attention",
        prompt="a red bus",
        save_as=target,
        model=str(random_pipeline),
        count=2,
        shape=True,
        **QUICK,
    )
    assert app.said(told) == ("Success", f"2 images added to '{target}', which now holds 2")
    assert set(fo.load_dataset(target).values("source.shape")) == {"keep"}
    assert ("open_dataset", {"dataset": target}) in told
    made = fo.load_dataset(target)
    assert set(made.values("task")) == {"inpaint"} and "inpainted_instances" in made.get_field_schema()


def test_call_from_python_and_images_that_cannot_be_used(
    app, painted: fo.Dataset, target: str, random_pipeline: Any
) -> None:
    import fiftyone as fo
    import fiftyone.operators as foo

    painted.add_sample(fo.Sample(filepath="/gone.png", prompt="a car"))
    operator = foo.get_operator("@diffucurate/diffucurate/vary_images")
    settings = {"model": str(random_pipeline), "save_as": target, "strength": [0.5, 1.0], **QUICK}
    result = operator(painted[3:], prompt="a {colour} car", attributes={"colour": ["red", "blue"]}, **settings)
    assert (result["dataset"], result["added"], result["left_out"]) == (target, 2, ["/gone.png: the file is missing"])


def test_a_pasted_recipe_says_what_it_starts_from(app, painted: fo.Dataset, target: str) -> None:
    recipe = (
        f"dataset: {target}\ntask: img2img\nsource: {{dataset: {painted.name}}}\n"
        "classes: {car: [car]}\ntemplates: [a car]\nseeds: 3\n"
    )
    form = app.form("generate_images", painted, recipe_from="pasted", recipe=recipe)
    assert not any(prop["invalid"] for prop in form.values())
    said = form["recipe_summary"]["view"]["label"]
    assert said.startswith("3 images from each of ") and painted.name in said
