"""Prompts drawn by weights: how often each value comes, and what is refused."""

from __future__ import annotations

from collections import Counter
from math import exp

import pytest

from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.recipe.weighted import capped, recipe_by_weights, weakness_weight

RECIPE = Recipe.from_mapping(
    {
        "dataset": "streets",
        "size": [64, 64],
        "steps": 2,
        "guidance": 1.0,
        "classes": {"car": ["car"], "bus": ["bus", "coach"], "tree": ["tree"]},
        "templates": ["a {colour} {object} beside a tree at {time}"],
        "attributes": {
            "colour": [f"colour {index}" for index in range(40)],
            "object": ["car", "coach"],
            "time": ["noon", "night"],
        },
    }
)


def test_s3ods_weight() -> None:
    assert weakness_weight(0.5, 4) == pytest.approx(1.25)
    assert weakness_weight(1.0, 2) == pytest.approx(0.5 + 2 * exp(-4))
    assert weakness_weight(0.25, 1) == pytest.approx(1 + 4 * exp(2))


def test_a_cap_bounds_the_ratio_and_the_mean_is_one() -> None:
    weights = capped({"car": 1.0, "bus": 100.0, "tree": 2.0}, 4)
    assert weights == pytest.approx({"car": 3 / 7, "bus": 12 / 7, "tree": 6 / 7})


def test_weak_classes_and_values_come_more_often() -> None:
    more = recipe_by_weights(RECIPE, {"bus": 3.0}, {"time": {"night": 4.0}}, 80, first_seed=7)
    made = jobs(more)
    assert len(made) == 80 and {job.seed for job in made} == {7}
    objects, times = (Counter(job.attributes[name] for job in made) for name in ("object", "time"))
    # Objects are drawn with chances 1:3 and times with 1:4, without repetition from 40 colours of each.
    assert objects["coach"] > 1.5 * objects["car"] > 0 and times["night"] > 1.5 * times["noon"] > 0
    assert all(set(job.phrases) in ({"bus", "tree"}, {"car", "tree"}) for job in made)
    assert more == recipe_by_weights(RECIPE, {"bus": 3.0}, {"time": {"night": 4.0}}, 80, first_seed=7)


def test_where_prompts_run_out_each_gets_several_seeds() -> None:
    small = RECIPE.model_copy(update={"attributes": {**RECIPE.attributes, "colour": ["red"]}})
    made = jobs(recipe_by_weights(small, {}, {}, 10, first_seed=3))
    assert len(made) == 10 and len({(job.prompt, job.seed) for job in made}) == 10
    assert {job.seed for job in made} == {3, 4, 5} and len({job.prompt for job in made}) == 4


def test_what_cannot_be_drawn_from_is_named() -> None:
    with pytest.raises(InvalidSetting, match=r"count.*0"):
        recipe_by_weights(RECIPE, {}, {}, 0, first_seed=0)
    captions = Recipe.from_mapping({"dataset": "d", "classes": {"car": ["car"]}, "captions": ["a car"]})
    with pytest.raises(RecipeError, match="templates only"):
        recipe_by_weights(captions, {}, {}, 5, first_seed=0)
