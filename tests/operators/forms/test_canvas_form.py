"""Canvases in the form *Generate images*: from fields to a recipe and back."""

from __future__ import annotations

from typing import Any

import pytest

from diffucurate.generator.recipe.files import recipe_text
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.operators.forms.recipe_params import mapping_of, params_of

REGIONS = {"layout": "regions", "background": "a {place} at noon", "attributes": {"place": "road, beach"}}


@pytest.fixture
def form(app: Any) -> Any:
    def form(**params: Any) -> dict[str, Any]:
        return app.form("generate_images", None, recipe_from="built", **params)

    return form


def test_fields_appear_and_say_what_follows(form: Any) -> None:
    assert "background" not in form()
    fields = form(layout="regions")
    assert (fields["regions_least"]["view"]["placeholder"], fields["regions_most"]["view"]["placeholder"]) == ("2", "4")
    assert (fields["width"]["view"]["placeholder"], fields["height"]["view"]["placeholder"]) == ("240", "240")
    assert " images with objects such as" in fields["preview"]["view"]["label"]


def test_attributes_of_the_background_have_fields(form: Any) -> None:
    fields = form(**REGIONS)
    assert "place" in fields["attributes"]["type"]["properties"]
    assert not [name for name, field in fields.items() if field.get("invalid")]


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"regions_least": 5, "regions_most": 2}, "regions_most", "name the smaller first"),
        ({"regions_most": 9, "width": 128, "height": 128}, "regions_most", "room for 1 regions"),
        ({"background": "a car park"}, "background", "names class 'car'"),
    ],
)
def test_what_is_wrong_stands_on_its_field(form: Any, params: dict[str, Any], field: str, words: str) -> None:
    assert words in form(layout="regions", **params)[field]["error_message"]


def test_a_recipe_goes_through_the_form() -> None:
    recipe = Recipe.from_mapping(
        {
            "dataset": "canvases",
            "task": "canvas",
            "canvas": {"regions": [3, 4], "background": "a {place} at noon"},
            "classes": {"car": ["car"]},
            "templates": ["a {colour} car"],
            "attributes": {"colour": ["red", "blue"], "place": ["road", "beach"]},
        }
    )
    params = params_of(recipe)
    assert (params["layout"], params["regions_least"], params["regions_most"]) == ("regions", 3, 4)
    assert Recipe.from_mapping(mapping_of(params)).fingerprint() == recipe.fingerprint()


def test_what_has_no_field_is_kept() -> None:
    content = {"dataset": "canvases", "task": "canvas", "classes": {"car": ["car"]}, "templates": ["a car"]}
    recipe = Recipe.from_mapping({**content, "canvas": {"regions": 2, "overlap": 0.5, "tries": 3}})
    again = Recipe.from_mapping(
        mapping_of({**params_of(recipe), "recipe": recipe_text(recipe.model_dump(mode="json"))})
    )
    assert again.canvas == recipe.canvas
