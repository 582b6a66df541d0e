"""Recipes whose images start from pictures: what they may say, what follows, and what is wrong in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.files.strict_yaml import write_yaml
from diffucurate.generator.recipe.recipe import Recipe

PLAIN: dict[str, Any] = {
    "dataset": "d",
    "classes": {"car": ["car"]},
    "templates": ["a {colour} car"],
    "attributes": {"colour": ["red"]},
}
VARIED = {**PLAIN, "task": "img2img", "source": {"dataset": "photos"}}
REPLACED = {**VARIED, "task": "inpaint", "objects": {"field": "truth"}}


def test_what_follows_from_the_task() -> None:
    varied, replaced = Recipe.from_mapping(VARIED), Recipe.from_mapping(REPLACED)
    assert (varied.size, varied.sizes, varied.strengths) == ("source", (), (0.6,))
    assert (replaced.strengths, replaced.objects.instances, replaced.objects.classes) == ((1.0,), "largest", None)
    assert Recipe.from_mapping({**VARIED, "strength": [0.25, 1], "size": [64, 96]}).strengths == (0.25, 1.0)
    without = {name: value for name, value in VARIED.items() if name != "templates"}
    assert Recipe.from_mapping(without).templates == []
    for recipe in (varied, replaced, Recipe.from_mapping(without)):
        assert Recipe.parse(write_yaml(recipe.model_dump(mode="json"))) == recipe


def test_fingerprints_outlive_the_fields_that_were_added() -> None:
    # A run that was stopped is taken up by these: change this only with a migration.
    assert Recipe.from_mapping(PLAIN).fingerprint() == "38b0ea871d8d0aaa"
    assert Recipe.from_mapping(VARIED).fingerprint() == "0c4bca44274c6c43"
    some = {**VARIED, "source": {"dataset": "photos", "where": {"time": ["noon"]}}}
    assert len({Recipe.from_mapping(one).fingerprint() for one in (PLAIN, VARIED, REPLACED, some)}) == 4


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (PLAIN, {"source": {"dataset": "photos"}}, "source: .* - task 'txt2img' does not take it"),
        (PLAIN, {"strength": 0.5}, "strength: 0.5 - task 'txt2img' does not take it"),
        (PLAIN, {"size": "source"}, "size: 'source' - images from text have no source"),
        (VARIED, {"source": None}, "source: None - name the dataset"),
        (VARIED, {"source": {"dataset": "photos", "views": "x"}}, "source.views: .*not a key.*did you mean 'view'"),
        (VARIED, {"source": {"dataset": "photos", "samples": []}}, r"source.samples: \[\] - list at least one"),
        (VARIED, {"source": {}}, "source: {} - name one of both: a dataset"),
        (VARIED, {"source": {"dataset": "photos", "folder": "out"}}, "source: .* - name one of both"),
        (VARIED, {"source": {"folder": "out", "view": "nights"}}, "source.folder: 'out' - views and samples are"),
        (VARIED, {"source": {"folder": "out", "where": {"time": []}}}, r"source.where.time: \[\] - list at least one"),
        (VARIED, {"objects": {"field": "truth"}}, "objects: .* - task 'img2img' does not take it; use task: inpaint"),
        (VARIED, {"templates": [], "attributes": {}}, "attributes: {} - say what to change"),
        (VARIED, {"templates": [], "negative_prompt": "{colour}"}, "negative_prompt: .*'{colour}' may have no value"),
        (REPLACED, {"carry": "truth"}, "carry: 'truth' - task 'inpaint' does not take it; use task: img2img"),
        (REPLACED, {"objects": None}, "objects: None - name the field"),
        (REPLACED, {"templates": []}, r"templates: \[\] - list at least one prompt"),
        (REPLACED, {"objects": {"field": "truth", "margin": -1}}, "objects.margin: -1 - it must be from 0 to 2"),
        (REPLACED, {"objects": {"field": "truth", "instances": []}}, r"objects.instances: \[\] - list at least one"),
        (VARIED, {"strength": 0}, "strength: 0 - it must be above 0, which changes nothing, and at most 1"),
        (VARIED, {"strength": 1.5}, "strength: 1.5 - it must be above 0"),
        (VARIED, {"strength": "much"}, "strength: 'much' - it must be above 0"),
        (VARIED, {"strength": [0.5, 0.5]}, "strength: 0.5 - .*2 times"),
        (VARIED, {"strength": []}, r"strength: \[\] - list at least one"),
        (VARIED, {"strength": 0.04}, "strength: 0.04 - of 20 steps it leaves none to take; use at least 0.05"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(base: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.from_mapping({**base, **change})
