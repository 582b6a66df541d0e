"""What a recipe of canvases may say."""

from __future__ import annotations

from typing import Any

import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.models.completed import completed
from diffucurate.generator.recipe.canvas_config import CanvasConfig, for_any_model, places
from diffucurate.generator.recipe.recipe import Recipe

CONTENT: dict[str, Any] = {
    "dataset": "canvases",
    "task": "canvas",
    "classes": {"car": ["car"], "bus": ["bus"]},
    "templates": ["a photo of a {object} on a {place}"],
    "attributes": {"object": ["car", "bus"], "place": ["road", "beach"]},
}


def recipe(**changes: Any) -> Recipe:
    return Recipe.from_mapping({**CONTENT, **changes})


def test_the_rest_follows_from_the_model() -> None:
    whole = completed(recipe())
    assert whole.size == (240, 240) and whole.canvas is not None and whole.canvas.region == (128, 128)
    assert completed(whole) is whole
    named = completed(recipe(size=[512, 256], canvas={"region": [64, 64], "regions": 3}))
    assert named.size == (512, 256) and named.canvas is not None
    assert (named.canvas.region, named.canvas.regions) == ((64, 64), (3, 3))


def test_what_followed_from_the_built_in_model_goes_with_it() -> None:
    content = recipe().model_dump(mode="json")
    assert content["size"] == [240, 240] and content["canvas"]["region"] == [128, 128]
    freed = for_any_model(content)
    assert "size" not in freed and "region" not in freed["canvas"]
    named = recipe(size=[512, 512], canvas={"region": [256, 256]}).model_dump(mode="json")
    assert for_any_model(named) == named


def test_other_recipes_are_as_they_were() -> None:
    plain = {name: value for name, value in CONTENT.items() if name != "task"}
    assert Recipe.from_mapping(plain).fingerprint() == Recipe.from_mapping({**plain, "canvas": None}).fingerprint()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"canvas": {"regions": [4, 2]}}, "canvas.regions: .* name the smaller first"),
        ({"canvas": {"regions": "many"}}, "canvas.regions: .* give how many objects"),
        ({"canvas": {"region": [100, 64]}}, "canvas.region: .* multiples of 8"),
        ({"canvas": {"region": [512, 512]}, "size": [256, 256]}, "canvas.region: .* fit into the canvas of 256 x 256"),
        ({"canvas": {"region": [128, 128], "regions": 5}}, "canvas.regions: .* room for 4 regions of 128 x 128 px"),
        ({"canvas": {"background": "a {sky}"}}, r"canvas.background: .*'\{sky\}' is not an attribute"),
        ({"canvas": {"background": "a car park"}}, "canvas.background: .* names class 'car'"),
        ({"canvas": {"background": "an {object}"}}, "canvas.background: .* names class 'car'"),
        ({"canvas": {"overlap": 0.9}}, "canvas.overlap: 0.9"),
        ({"canvas": {"tiles": 3}}, "canvas.tiles"),
        ({"look_again": True}, "look_again: .* one by one"),
        ({"negative_prompt": "no {place}"}, "negative_prompt: .* write plain text"),
        ({"task": "txt2img", "canvas": {}}, "canvas: .* use task: canvas or remove it"),
        ({"strength": 0.5}, "strength"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe(**changes)


def test_places() -> None:
    config = CanvasConfig(region=(96, 96), overlap=0.25)
    # The second begins 72 px after the first: two need 168 px, three 240.
    assert [places(config, (width, 96))[0] for width in (96, 160, 168, 232, 240)] == [1, 1, 2, 2, 3]
