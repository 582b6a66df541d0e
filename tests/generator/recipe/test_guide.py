"""Where prompted objects are to be: what a recipe may say, and what a job holds of it."""

from __future__ import annotations

from typing import Any

import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.jobs import Job, jobs
from diffucurate.generator.jobs.variations import refilled
from diffucurate.generator.recipe.files import recipe_text
from diffucurate.generator.recipe.guide import Guide, ObjectGuide
from diffucurate.generator.recipe.recipe import Recipe


def recipe(**content: Any) -> Recipe:
    plain = {
        "dataset": "guided",
        "classes": {"car": ["car"], "bus": ["bus"]},
        "templates": ["a {object} on a road"],
        "attributes": {"object": ["car", "bus"]},
        "steps": 4,
        "guidance": 4.0,
        "size": [64, 64],
    }
    return Recipe.from_mapping({**plain, **content})


def test_a_job_is_guided_by_what_its_prompt_names() -> None:
    guided = recipe(guide={"car": {"center": [0.25, 0.5], "size": 0.1}})
    car, bus = jobs(guided)
    assert car.guide == Guide((ObjectGuide("car", (0.25, 0.5), 0.1),), 12.0) and bus.guide is None
    free_car, free_bus = jobs(recipe())
    assert car.job_id != free_car.job_id and bus.job_id == free_bus.job_id
    assert Job.from_dict(car.to_dict()) == car
    assert jobs(recipe(guide={"car": {"center": [0.25, 0.5], "size": 0.1}}, guide_weight=3))[0].job_id != car.job_id
    assert Recipe.parse(recipe_text(guided)).fingerprint() == guided.fingerprint() != recipe().fingerprint()
    (other,) = refilled(bus, guided, {"object": ["car"]})
    assert other.job_id == car.job_id


def test_a_box_is_its_centre_and_most_of_its_area() -> None:
    (job, _) = jobs(recipe(guide={"car": {"box": [0.5, 0.25, 0.5, 0.5]}}))
    assert job.guide is not None
    ((_, center, size),) = job.guide.objects
    assert center == (0.75, 0.5) and size == pytest.approx(0.25 * 0.785)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"guide": {"tram": {"size": 0.1}}}, r"guide: 'tram' .* none of the classes car, bus"),
        ({"guide": {}}, r"guide: .*say where a class is to be"),
        ({"guide": {"car": {}}}, r"guide.car: .*say its center, its size or its box"),
        ({"guide": {"car": {"center": [0.5, 1.5]}}}, r"guide.car.center.* at most 1|from 0 to 1"),
        ({"guide": {"car": {"size": 0}}}, r"guide.car.size: .* above 0"),
        ({"guide": {"car": {"box": [0.5, 0.5, 0.6, 0.2]}}}, r"guide.car.box: .* must lie within the image"),
        ({"guide": {"car": {"box": [0, 0, 1, 1], "size": 0.5}}}, r"guide.car.box: .* name one or the other"),
        ({"guide_weight": 3.0}, r"guide_weight: 3.0 .* there is no guide to weigh"),
        ({"guide": {"car": {"size": 0.1}}, "guide_weight": 0}, r"guide_weight: 0.0 .* above 0"),
        (
            {"guide": {"car": {"size": 0.1}}, "task": "img2img", "source": {"dataset": "a"}},
            r"guide: .* task 'img2img' does not take it",
        ),
    ],
)
def test_what_is_wrong_is_said(content: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe(**content)
