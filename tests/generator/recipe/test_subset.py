"""A recipe reduced to what is missing makes exactly the missing images, under the ids they would have had."""

from __future__ import annotations

import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.jobs import count_jobs, jobs
from diffucurate.generator.recipe.files import recipe_text
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.recipe.subset import recipe_for_missing

RECIPE = Recipe.parse(
    """
    dataset: streets
    seeds: [3, 5]
    classes: {car: [car], bus: [bus], tree: [tree]}
    templates:
      - "a {colour} {object} at {time}"
      - "a {object} beside a tree at {time}"
    attributes: {object: [car, bus], colour: [red, blue, light green], time: [noon, night]}
    sample: {count: 4, seed: 0}
    """
)
EVERYTHING = jobs(RECIPE.model_copy(update={"sample": "all"}))


@pytest.mark.parametrize(
    "missing",
    [
        [{"colour": "red"}],
        [{"colour": "red", "time": "night"}, {"colour": "light green", "time": "noon"}],
        [{"object": "bus", "time": "noon"}],  # both templates can make it
        [{"object": "bus", "colour": "blue", "time": "noon"}, {"object": "car", "colour": "red", "time": "night"}],
    ],
)
def test_exactly_the_missing_jobs(missing: list[dict[str, str]]) -> None:
    wanted = [job for job in EVERYTHING if any(part.items() <= job.attributes.items() for part in missing)]
    made = jobs(recipe_for_missing(RECIPE, missing))
    assert {job.job_id for job in made} == {job.job_id for job in wanted}
    assert len(made) == len(wanted) > 0


def test_one_image_for_each() -> None:
    missing = [{"object": "car", "time": "noon"}, {"object": "car", "time": "night"}, {"object": "bus", "time": "noon"}]
    made = jobs(recipe_for_missing(RECIPE, missing, one_each=True))
    assert sorted((job.attributes["object"], job.attributes["time"]) for job in made) == sorted(
        (part["object"], part["time"]) for part in missing
    )
    assert {job.job_id for job in made} <= {job.job_id for job in EVERYTHING}
    assert {"beside" in job.prompt for job in made} == {True, False}  # one template after the other


def test_classes_and_attributes_that_no_prompt_needs_are_left_out() -> None:
    reduced = recipe_for_missing(RECIPE, [{"colour": "red", "object": "bus"}])
    assert list(reduced.classes) == ["bus"]
    assert list(reduced.attributes) == ["time"]
    assert set(reduced.attribute_names) == {"time", "colour", "object"}


def test_text_reads_back_as_the_same_recipe() -> None:
    reduced = recipe_for_missing(RECIPE, [{"colour": "red"}])
    assert Recipe.parse(recipe_text(reduced)) == reduced
    assert count_jobs(Recipe.parse(recipe_text(reduced))) == 8


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ([], "nothing to generate"),
        ([{"colour": "pink"}], "colour pink"),
        ([{"weather": "rain"}], "weather rain"),
    ],
)
def test_what_cannot_be_made_is_said(missing: list[dict[str, str]], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe_for_missing(RECIPE, missing)


def test_a_value_that_no_template_can_hold_is_said() -> None:
    recipe = Recipe.from_mapping(
        {"dataset": "d", "classes": {"car": ["car"]}, "templates": ["{cry} car"], "attributes": {"cry": ["oh!"]}}
    )
    with pytest.raises(RecipeError, match="exclamation mark"):
        recipe_for_missing(recipe, [{"cry": "oh!"}])


@pytest.mark.parametrize(
    ("template", "said"),
    [("a {Colour=red} car", "small letters"), ("a {id=red} car", "reserved"), ("{a=} car", "allowed")],
)
def test_fixed_attributes_follow_the_rules_of_attributes(template: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Recipe.from_mapping({"dataset": "d", "classes": {"car": ["car"]}, "templates": [template]})


def test_only_what_is_set_is_written() -> None:
    recipe = Recipe.from_mapping({"dataset": "d", "classes": {"car": ["car"]}, "templates": ["a car"]})
    keys = [line.split(":")[0] for line in recipe_text(recipe).splitlines() if line[0].isalpha()]
    assert keys == ["dataset", "model", "seeds", "classes", "templates"]
    more = Recipe.from_mapping({**recipe.model_dump(mode="json"), "steps": 20, "retries": 2, "karras": False})
    assert Recipe.parse(recipe_text(more)) == more and "retries: 2" in recipe_text(more)
