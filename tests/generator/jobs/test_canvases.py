"""Which objects are on which canvas, and where."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from diffucurate.generator.jobs.image_count import images_of
from diffucurate.generator.jobs.jobs import Job, count_jobs, jobs
from diffucurate.generator.models.completed import completed
from diffucurate.generator.recipe.recipe import Recipe

CONTENT: dict[str, Any] = {
    "dataset": "canvases",
    "task": "canvas",
    "canvas": {"regions": [2, 4], "background": "a {place} at noon"},
    "classes": {"car": ["car", "sedan"], "bus": ["bus"]},
    "templates": ["a photo of a {colour} {object} on a {place}"],
    "attributes": {"object": ["car", "sedan", "bus"], "colour": ["red", "blue"], "place": ["road", "beach"]},
}


def planned(**changes: Any) -> list[Job]:
    return jobs(completed(Recipe.from_mapping({**CONTENT, **changes})))


def test_number_and_classes_are_even() -> None:
    many = planned(sample={"count": 60, "seed": 3})
    assert len(many) == 60 and count_jobs(completed(Recipe.from_mapping({**CONTENT, "sample": {"count": 60}}))) == 60
    counts = Counter(len(job.canvas.regions) for job in many if job.canvas)
    assert set(counts) == {2, 3, 4} and min(counts.values()) >= 10
    classes = Counter(label for job in many if job.canvas for region in job.canvas.regions for label in region.phrases)
    assert abs(classes["car"] - classes["bus"]) <= 1  # although four of six prompts are of cars
    places = Counter(job.attributes["place"] for job in many)
    assert abs(places["road"] - places["beach"]) <= 1


def test_without_a_sample_as_many_prompts_are_dealt_as_there_are() -> None:
    everything = planned(canvas={"regions": 2, "background": "a {place}"})
    assert len(everything) == 3  # 3 objects x 2 colours, two on each; the place is the canvas's
    assert len(planned(canvas={"regions": 2, "background": "a {place}"}, seeds=2)) == 6
    for regions in ([1, 4], [3, 3], [2, 4]):
        whole = completed(Recipe.from_mapping({**CONTENT, "canvas": {"regions": regions}}))
        assert count_jobs(whole) == len(jobs(whole)) == images_of(whole).images


def test_regions_lie_within_and_overlap_no_more_than_asked() -> None:
    for job in planned(sample={"count": 40}, size=[400, 240], canvas={"regions": [4, 6], "overlap": 0.3}):
        assert job.canvas is not None
        boxes = [region.box for region in job.canvas.regions]
        for x, y, width, height in boxes:
            assert (width, height) == (128, 128) and 0 <= x <= 400 - 128 and 0 <= y <= 240 - 128
            assert x % 8 == y % 8 == 0
        for one, other in combinations(boxes, 2):
            apart = max(abs(one[0] - other[0]), abs(one[1] - other[1]))
            assert apart >= 0.7 * 128 - 8  # both are rounded to cells of 8 px


def test_shared_values_are_the_same_everywhere() -> None:
    for job in planned(sample={"count": 10}):
        assert job.canvas is not None
        place = job.attributes["place"]
        assert job.canvas.background == f"a {place} at noon"
        assert all(region.prompt.endswith(f"on a {place}") for region in job.canvas.regions)
        assert job.prompt.startswith(f"a {place} at noon. a photo of a ")
        assert set(job.phrases) == {label for region in job.canvas.regions for label in region.phrases}


def test_of_more_prompts_than_are_dealt_all_values_come() -> None:
    values = [f"v{number}" for number in range(10)]
    content = {**CONTENT, "templates": ["a {a} {b} {c} {d} {e} {f} car"], "classes": {"car": ["car"]}}
    content |= {"attributes": dict.fromkeys("abcdef", values), "canvas": {"regions": 4}, "sample": {"count": 25}}
    prompts = [region.prompt for job in jobs(completed(Recipe.from_mapping(content))) for region in job.canvas.regions]
    assert len(prompts) == 100 and len({prompt.split()[1] for prompt in prompts}) == 10  # the slowest of the product


def test_the_same_recipe_leads_to_the_same_jobs_and_they_survive_json() -> None:
    first, second = planned(sample={"count": 5, "seed": 1}), planned(sample={"count": 5, "seed": 1})
    assert first == second and len({job.job_id for job in first}) == 5
    assert [Job.from_dict(json.loads(json.dumps(job.to_dict()))) for job in first] == first
    assert first != planned(sample={"count": 5, "seed": 2})
    assert planned(sample={"count": 3, "seed": 1}) == first[:3]


@pytest.mark.parametrize("seeds", [[4, 9], 2])
def test_each_canvas_is_painted_with_each_seed(seeds: Any) -> None:
    painted = planned(sample={"count": 4}, seeds=seeds)
    assert [job.seed for job in painted] == ([4, 9, 4, 9] if isinstance(seeds, list) else [0, 1, 0, 1])
    assert painted[0].canvas == painted[1].canvas != painted[2].canvas
