"""The part of a recipe on masks: what follows from the task, and what is refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.image_count import images_of
from diffucurate.generator.jobs.jobs import Job, choices, job_of
from diffucurate.generator.recipe.files import recipe_text
from diffucurate.generator.recipe.layout import LayoutSource
from diffucurate.generator.recipe.recipe import Recipe

CONTENT: dict[str, Any] = {
    "dataset": "by-mask",
    "task": "mask2img",
    "source": {"dataset": "photos"},
    "layout": {"field": "ground_truth"},
    "classes": {"car": ["car", "sedan"], "bus": ["bus"]},
}


def recipe(**content: Any) -> Recipe:
    return Recipe.from_mapping({**CONTENT, **content})


def test_what_follows_from_the_task() -> None:
    plain = recipe()
    assert (plain.size, plain.templates, plain.attributes) == (
        "source",
        ["a photo of {labels}"],
        {"labels": ["{labels}"]},
    )
    assert plain.listed_attributes == {}
    assert Recipe.from_mapping(plain.model_dump(mode="json")) == plain
    assert Recipe.parse(recipe_text(plain)).fingerprint() == plain.fingerprint()


def test_each_mask_is_painted_with_every_value() -> None:
    several = recipe(templates=["{labels} on a {place}"], attributes={"place": ["road", "beach"]}, seeds=2)
    assert [(each.prompt, each.seed, each.init_image) for each in choices(several, 2)][:3] == [
        ("{labels} on a road", 0, 0),
        ("{labels} on a road", 1, 0),
        ("{labels} on a beach", 0, 0),
    ]
    assert len(list(choices(several, 2))) == 8 and images_of(several).images == 4


def test_prompts_without_classes_of_the_mask_have_to_name_each_class() -> None:
    assert recipe(templates=["a car and a bus"]).attributes == {}
    with pytest.raises(RecipeError, match=r"classes.bus: .* none of its phrases occurs in any prompt"):
        recipe(templates=["a car"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"layout": {}}, r"layout.field: .*name the labels that are the masks"),
        ({"layout": {"field": "truth", "until": 0.0}}, r"layout.until: 0.0 .* above 0 and at most 1"),
        ({"layout": {"field": "truth", "until": 1.5}}, r"layout.until: 1.5 .* above 0 and at most 1"),
        ({"layout": {"field": "truth", "boost": 0.5}}, r"layout.boost: 0.5 .* from 1 to 1000"),
        ({"layout": {"field": "truth", "words": "some"}}, r"layout.words: 'some' .* 'shared' or 'own'"),
        ({"layout": {"field": "truth", "values": {"car": 1}}}, r"layout.values: .*says itself what its masks mean"),
        (
            {"layout": {"values": {"tram": 1}}, "source": {"folder": "m"}},
            r"layout.values: 'tram' .* none of the classes",
        ),
        ({"layout": {"values": {"car": 1, "bus": 1}}, "source": {"folder": "m"}}, r"two classes have this value"),
        ({"layout": {"values": {"car": 255}}, "source": {"folder": "m"}}, r"layout.values.car: 255 .* at most 254"),
        ({"source": None}, r"source: .*name the dataset whose labels are the masks"),
        ({"attributes": {"labels": ["a"]}, "templates": ["{labels}"]}, r"attributes.labels: .* name the attribute"),
        ({"negative_prompt": "{labels}"}, r"negative_prompt: .* is what is to be painted"),
        ({"look_again": True}, r"look_again: .* masks are the labels here"),
        ({"strength": 0.5}, r"strength: 0.5 .* task 'mask2img' does not take it"),
        ({"objects": {"field": "a"}}, r"objects: .* task 'mask2img' does not take it"),
        ({"task": "txt2img", "templates": ["a car"], "source": None}, r"layout: .* use task: mask2img or remove it"),
    ],
)
def test_what_is_wrong_is_said(content: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe(**content)


def test_a_job_is_the_mask_and_how_strictly_it_holds() -> None:
    by_mask = recipe(steps=5, guidance=4.0, templates=["a car and a bus"])
    (choice,) = choices(by_mask)
    source = LayoutSource("photos", "1", "ground_truth", "abc", 0.75, 16.0, "shared")
    job = job_of(by_mask, choice, (64, 64), layout=source)
    assert Job.from_dict(job.to_dict()) == job and job.layout == source
    elsewhere = job_of(by_mask, choice, (64, 64), layout=LayoutSource("copies", "2", "m", "abc", 0.75, 16.0, "shared"))
    assert elsewhere.job_id == job.job_id  # the same mask by another name
    for changed in ({"digest": "abd"}, {"until": 1.0}, {"boost": 4.0}, {"words": "own"}):
        other = LayoutSource(**{**source.to_dict(), **changed})
        assert job_of(by_mask, choice, (64, 64), layout=other).job_id != job.job_id
    assert job_of(by_mask, choice, (64, 64)).job_id != job.job_id
