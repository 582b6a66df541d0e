"""A job's variations: other values in its template, other seeds, and nothing else."""

from __future__ import annotations

import pytest

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.jobs.variations import altered, refilled, template_of
from diffucurate.generator.recipe.recipe import Recipe

RECIPE = Recipe.from_mapping({
    "dataset": "x", "classes": {"car": ["car"], "bus": ["bus"]},
    "templates": ["a {object} at {time=noon}", "{{a}} {object}", "nothing"],
    "attributes": {"object": ["car", "bus", "stone"]},
})  # fmt: skip
CAR, BUS, STONE, BRACES, *_, NOTHING = jobs(RECIPE)


def test_the_template_is_found_again_with_all_its_attributes_open():
    assert [template_of(job, RECIPE) for job in (CAR, BRACES, NOTHING)] == [
        "a {object} at {time}",
        "{{a}} {object}",
        "nothing",
    ]
    with pytest.raises(InvalidSetting, match="no template"):
        template_of(altered(CAR, prompt="a cat"), RECIPE)


def test_only_what_is_altered_differs():
    other = altered(CAR, seed=9)
    assert other.job_id != CAR.job_id and other == altered(other)
    assert {**vars(other), "seed": CAR.seed, "job_id": CAR.job_id} == vars(CAR)


@pytest.mark.parametrize(
    ("job", "changes", "prompts"),
    [
        (CAR, {"time": ["night", "dusk"]}, ["a car at night", "a car at dusk"]),
        (CAR, {"time": ["noon"]}, ["a car at noon"]),
        (CAR, {"object": ["stone"]}, ["a stone at noon"]),  # the recipe lists it, though it names no class
        (STONE, {"time": ["night"]}, ["a stone at night"]),
        (CAR, {"time": ["night"], "object": ["small bus", "car"]},
         ["a small bus at night", "a car at night"]),
        (BRACES, {"time": ["night"]}, ["{a} car"]),  # its template has no time
    ],
)  # fmt: skip
def test_templates_are_refilled(job, changes, prompts):
    made = list(refilled(job, RECIPE, changes))
    assert [one.prompt for one in made] == prompts
    for one in made:
        assert one.seed == job.seed and (one.prompt == job.prompt) == (one == job)
        assert list(one.phrases) == [name for name in ("car", "bus") if name in one.prompt]


def test_value_that_names_no_class_is_refused():
    with pytest.raises(InvalidSetting, match="none of the classes") as caught:
        list(refilled(CAR, RECIPE, {"time": ["night"], "object": ["bus", "piano"]}))
    assert (caught.value.field, caught.value.value) == ("attributes.object", "piano")


def test_braces_in_a_template_stay_text() -> None:
    content = {
        "dataset": "x",
        "classes": {"car": ["car"]},
        "templates": ["a {{sign}} and a {colour} car {{"],
        "negative_prompt": "{{fog}}",
        "attributes": {"colour": ["red", "blue"]},
    }
    recipe = Recipe.from_mapping(content)
    made = jobs(recipe)
    assert [job.prompt for job in made] == ["a {sign} and a red car {", "a {sign} and a blue car {"]
    assert {job.negative_prompt for job in made} == {"{fog}"}
    assert template_of(made[0], recipe) == content["templates"][0]
    (changed,) = refilled(made[0], recipe, {"colour": ["blue"]})
    assert changed == made[1]
