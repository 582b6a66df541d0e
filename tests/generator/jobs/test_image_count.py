"""What a recipe will make: the count is that of its jobs, and the prompts are theirs."""

from __future__ import annotations

import pytest

from diffucurate.generator.jobs.image_count import images_of, some_prompts
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.recipe.recipe import Recipe

ATTRIBUTES = {"colour": ["red", "blue"], "object": ["car", "bus", "truck"], "time": ["noon", "night"]}
TWO = ["a {colour} {object} at {time}", "a red {object} at {time}"]


def recipe(**changes: object) -> Recipe:
    return Recipe.from_mapping(
        {"dataset": "d", "classes": {"car": ["car"]}, "templates": TWO, "attributes": ATTRIBUTES, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "exact"),
    [
        ({}, True),  # the red ones of both templates are the same
        ({"seeds": 3, "sample": {"count": 7}}, True),
        ({"seeds": 200}, False),
        ({"seeds": 200, "sample": {"count": 7}}, False),
        ({"templates": TWO[:1], "seeds": 200}, True),
    ],
)
def test_the_count_is_that_of_the_jobs_or_a_bound(changes: dict[str, object], exact: bool) -> None:
    made = recipe(**changes)
    images, said = images_of(made)
    assert said is exact
    assert images == len(jobs(made)) if exact else images >= len(jobs(made))


def test_prompts_come_from_all_over_the_product() -> None:
    prompts = some_prompts(TWO[:1], ATTRIBUTES, 6)
    assert len(set(prompts)) == 6 and set(prompts) <= {job.prompt for job in jobs(recipe())}
    assert all(any(value in prompt for prompt in prompts) for values in ATTRIBUTES.values() for value in values)
    assert len(some_prompts(TWO, ATTRIBUTES, 100)) == 12
    huge = {name: [f"{name}{number}" for number in range(1000)] for name in "abcdef"}
    assert len(set(some_prompts(["{a} {b} {c} {d} {e} {f}"], huge, 6))) == 6


@pytest.mark.parametrize(
    ("templates", "prompts"),
    [
        ([], []),
        (["", "broken {", "a {object.real}"], []),
        (["a {mood} {time}"], ["a {mood} noon", "a {mood} night"]),
        (["a car", "a car"], ["a car"]),
    ],
)
def test_what_is_still_being_written(templates: list[str], prompts: list[str]) -> None:
    assert some_prompts(templates, {**ATTRIBUTES, "mood": []}, 6) == prompts
