"""Captions in the App: painted by the form that generates images, and more of them written by a language model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffucurate.generator.recipe.files import recipe_text
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.operators.forms.recipe_params import mapping_of, params_of

WRITTEN = {"recipe_from": "built", "prompts_from": "captions", "captions": "a red car on a {beach}\ntwo buses at night"}


@pytest.fixture
def coco(tmp_path: Path) -> dict[str, str]:
    captions = {"images": [{"id": 1}], "annotations": [{"id": 5, "image_id": 1, "caption": "a road"}]}
    instances = {"categories": [{"id": 1, "name": "car"}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1}]}
    for name, content in (("captions", captions), ("instances", instances)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return {f"{name}_path": str(tmp_path / f"{name}.json") for name in ("captions", "instances")}


def test_written_captions_are_shown_with_their_classes(app) -> None:
    fields = app.form("generate_images", None, **WRITTEN)
    assert "templates" not in fields and fields["classes"]["default"] == ["car", "buses"]
    fields = app.form("generate_images", None, **WRITTEN, classes=["car", "bus"])
    assert fields["preview"]["default"] == "- a red car on a {beach}\n- two buses at night"
    assert fields["recipe_summary"]["view"]["label"].startswith(
        "4 images for dataset 'my-streets', labelled as car, bus"
    )
    assert app.problems("generate_images", None, **WRITTEN, classes=["car", "bus"]) == {}


def test_a_coco_file_is_shown_and_painted(app, coco: dict[str, str], random_pipeline: Path) -> None:
    import fiftyone as fo

    asked: dict[str, Any] = {
        "recipe_from": "built",
        "prompts_from": "captions",
        **coco,
        "classes": ["car"],
        "seeds": "1",
    }
    fields = app.form("generate_images", None, **asked)
    assert fields["preview"]["default"] == "- a road; car" and "instances_path" in fields
    asked |= {"dataset": "coco", "model": str(random_pipeline), "width": 64, "height": 64, "steps": 1}
    told = app.stream("generate_images", None, **asked)
    assert app.said(told) == ("Success", "1 image added to 'coco', which now holds 1")
    made = fo.load_dataset("coco")
    assert made.first().caption.class_prompt == "a photo of a car" and made.first().heatmap_car is not None
    # What made it can be put back into the form.
    form = app.form("show_provenance", made, sample_id=made.first().id)
    text = form["recipes"]["type"]["properties"]["reuse"]["view"]["params"]["recipe"]
    assert Recipe.parse(text).captions is not None and app.problems("generate_images", None, recipe=text) == {}
    fo.delete_dataset("coco")


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"captions": ""}, "captions", "name a file of captions, or write some, one per line"),
        ({"captions_path": "/nowhere/a.txt"}, "captions_path", "there is no such file"),
        ({"classes": ["piano"]}, "captions", "names a class (piano)"),
        ({"classes": ["car", "piano"]}, "classes", "piano: no caption names them"),
        ({"class_prompt": "both"}, "class_prompt", "it must be 'append'"),
    ],
)
def test_what_is_wrong_stands_on_its_field(app, params: dict[str, Any], field: str, words: str) -> None:
    problems = app.problems("generate_images", None, **{**WRITTEN, "classes": ["car", "bus"], **params})
    assert list(problems) == [field] and words in problems[field]


def test_what_is_wrong_with_captions_stands_on_a_pasted_recipe(app) -> None:
    recipe = yaml.safe_dump({"dataset": "d", "classes": {"car": ["car"]}, "captions": "/nowhere/a.txt"})
    assert "there is no such file" in app.problems("generate_images", None, recipe=recipe)["recipe"]


@pytest.mark.parametrize(
    "captions",
    [
        ["a car on a {road}", "one bus and a car"],
        {"path": "a.json", "instances": "b.json", "class_prompt": "separate"},
        {"texts": [{"caption": "a bus", "classes": ["car"]}]},
        {"path": "a.json", "per_image": 2},
    ],
)
def test_there_and_back(captions: Any) -> None:
    recipe = Recipe.from_mapping({"dataset": "d", "classes": {"car": ["car"], "bus": ["bus"]}, "captions": captions})
    text = recipe_text(recipe.model_dump(mode="json", exclude_none=True))
    assert Recipe.parse(text) == recipe
    # What no field says is carried along with the text.
    mapping = mapping_of({**params_of(recipe), "recipe": text})
    assert Recipe.from_mapping(mapping).captions == recipe.captions


def test_more_captions(app, writer: str, tmp_path: Path) -> None:
    path = str(tmp_path / "more.json")
    asked: dict[str, Any] = {"captions": "a red car\na blue bus", "classes": ["car", "bus: coach"], "model": writer}
    asked |= {"path": path, "count": 3, "shots": 0, "most_words": 16}
    assert app.problems("expand_captions", None, **asked) == {}
    told = app.stream("expand_captions", None, **asked)
    assert app.said(told) == ("Success", f"3 captions of 3 written to '{path}'")
    captions = {"recipe_from": "built", "prompts_from": "captions", "captions_path": path, "classes": ["car", "bus"]}
    assert "3 captions" not in app.problems("generate_images", None, **captions)
    assert app.problems("expand_captions", None, **asked)["path"].endswith("name another, or replace it")


def test_more_captions_from_python(app, writer: str, tmp_path: Path) -> None:
    import fiftyone.operators as foo

    (tmp_path / "known.txt").write_text("a red car\n")
    operator = foo.get_operator("@diffucurate/diffucurate/expand_captions")
    asked: dict[str, Any] = {"model": writer, "classes": {"car": ["car"]}, "captions": str(tmp_path / "known.txt")}
    result = operator(str(tmp_path / "a.json"), **asked, count=2, shots=0, most_words=16)
    assert result["captions"] == 2 and result["classes"] == {"car": 2}


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"classes": []}, "classes", "name at least one class"),
        ({"classes": ["car", "bus: car"]}, "classes", "a phrase can mean one class only"),
        ({"captions": "a cat"}, "captions", "names a class (car)"),
        ({"captions_path": "/nowhere/a.txt"}, "captions_path", "no such file"),
        ({"model": "/nowhere/model"}, "model", "neither a folder that exists nor a hub id"),
        ({"model": ""}, "model", "name a text-generation model"),
        ({"path": "a.json"}, "path", "give a full path that ends in .json"),
        ({"path": "/nowhere/a.txt"}, "path", "name a file that ends in .json"),
        ({"count": 0}, "count", "use a whole number from 1 on"),
    ],
)
def test_what_the_form_refuses(app, params: dict[str, Any], field: str, words: str) -> None:
    asked = {"captions": "a car", "classes": ["car"], "model": "owner/name", "path": "/nowhere/a.json", **params}
    problems = app.problems("expand_captions", None, **asked)
    assert list(problems) == [field] and words in problems[field]
