"""Recipes of task augment: what follows from the task, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.recipe.recipe import Recipe

CONTENT: dict[str, Any] = {
    "dataset": "photos",
    "task": "augment",
    "source": {"dataset": "photos"},
    "augment": {"field": "truth"},
    "classes": {"car": ["car"], "bus": ["bus", "coach"]},
}


def test_what_follows_from_the_task() -> None:
    recipe = Recipe.from_mapping(CONTENT)
    assert recipe.strengths == (0.25, 0.5, 0.75, 1.0) and recipe.templates == ["a photo of {labels}"]
    assert (recipe.painting_task, recipe.product_size, recipe.size) == ("img2img", 1, "source")
    assert recipe.augment is not None and (recipe.augment.part, recipe.augment.min_iou) == ("image", 0.5)
    parts = [
        Recipe.from_mapping({**CONTENT, "augment": {"field": "t", "part": part}}) for part in ("objects", "background")
    ]
    assert [each.painting_task for each in parts] == ["inpaint", "inpaint"]
    assert Recipe.from_mapping(recipe.model_dump(mode="json")) == recipe


def test_fingerprints_of_other_recipes_stay() -> None:
    plain = {"dataset": "d", "classes": {"car": ["car"]}, "templates": ["a car"]}
    assert "augment" in Recipe.from_mapping(plain).model_dump() and Recipe.from_mapping(plain).augment is None
    assert Recipe.from_mapping(plain).fingerprint() == Recipe.from_mapping({**plain, "augment": None}).fingerprint()


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"augment": None}, "augment", "name the labels that are kept"),
        ({"augment": {"field": "truth", "part": "sky"}}, "augment.part", "image"),
        ({"augment": {"field": "truth", "margin": -1}}, "augment.margin", "from 0 to 2"),
        ({"augment": {"field": "truth", "min_iou": 2}}, "augment.min_iou", "from 0 to 1"),
        ({"attributes": {"labels": ["a", "b"]}}, "attributes.labels", "each image's own labels"),
        ({"task": "img2img", "templates": ["a car and a bus"]}, "augment", "use task: augment"),
        ({"templates": ["a photo of {label}"]}, "templates[0]", "not an attribute"),
        ({"source": None}, "source", "name the dataset"),
        ({"carry": "truth"}, "carry", "does not take it"),
        ({"objects": {"field": "truth"}}, "objects", "does not take it"),
        ({"strength": [0.5, 0.0]}, "strength", "above 0"),
    ],
)
def test_refused(change: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as raised:
        Recipe.from_mapping({**CONTENT, **change})
    assert raised.value.field == field


def test_templates_take_attributes_besides() -> None:
    changes = {"templates": ["{labels} at {time}"], "attributes": {"time": ["noon", "night"]}, "seeds": 3}
    assert Recipe.from_mapping({**CONTENT, **changes}).product_size == 6
