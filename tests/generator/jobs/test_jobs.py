"""Recipes become jobs: all of them, each once, in a fixed order, or a balanced part."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from diffucurate.generator.captions.source import CaptionSource
from diffucurate.generator.jobs.jobs import Job, choices, count_jobs, jobs
from diffucurate.generator.recipe.canvas import Canvas, CanvasRegion
from diffucurate.generator.recipe.guide import Guide, ObjectGuide
from diffucurate.generator.recipe.init_image import InitImage, Region
from diffucurate.generator.recipe.layout import LayoutSource
from diffucurate.generator.recipe.model_options import ModelOptions
from diffucurate.generator.recipe.recipe import Recipe

BASE: dict[str, Any] = {
    "dataset": "d",
    "seeds": 3,
    "classes": {"car": ["car", "sedan"], "bus": ["bus"]},
    "templates": ["a {colour} {object} on a {place}"],
    "attributes": {"object": ["car", "sedan", "bus"], "colour": ["red", "blue"], "place": ["road", "beach"]},
}


def recipe(**changes: Any) -> Recipe:
    return Recipe.from_mapping({**BASE, **changes})


def test_templates_times_attributes_times_seeds() -> None:
    made = jobs(recipe())
    assert len(made) == count_jobs(recipe()) == 3 * 2 * 2 * 3
    assert len({job.job_id for job in made}) == len(made)
    assert len({(job.prompt, job.seed) for job in made}) == len(made)
    assert [job.seed for job in made[:4]] == [0, 1, 2, 0]
    assert [job.prompt for job in made[::3]][:3] == [
        "a red car on a road",
        "a red car on a beach",
        "a blue car on a road",
    ]


def test_what_a_job_says() -> None:
    job = jobs(recipe(seeds=[7], negative_prompt="blurry", size=[64, 128], steps=9, guidance=2, model="some/model"))[0]
    assert job == Job(
        job_id=job.job_id,
        task="txt2img",
        prompt="a red car on a road",
        negative_prompt="blurry",
        phrases={"car": ("car",)},
        attributes={"object": "car", "colour": "red", "place": "road"},
        seed=7,
        size=(64, 128),
        steps=9,
        guidance=2.0,
        model="some/model",
    )
    assert isinstance(job.guidance, float)
    with pytest.raises(FrozenInstanceError):
        job.seed = 3  # type: ignore[misc]


def test_plain_data_and_back() -> None:
    word = {"path": "piano.safetensors", "placeholder": "<piano>"}
    changed = recipe(scheduler="euler", loras=[{"path": "a.safetensors", "scale": 0.5}], tokens=[word])
    for job in (*jobs(recipe()), *jobs(changed)):
        assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job


CONTENT: dict[str, Any] = {
    "task": "txt2img", "prompt": "a car", "negative_prompt": "", "phrases": {"car": ("car", "sedan"), "bus": ("bus",)},
    "attributes": {"a": "b", "c": "d"}, "seed": 0, "size": (64, 64), "steps": 20, "guidance": 5.0, "model": "tiny",
    "model_options": ModelOptions(), "source": None, "caption": None, "canvas": None, "layout": None,
    "guide": None,
}  # fmt: skip
OTHER: dict[str, Any] = {
    "task": "img2img", "prompt": "a bus", "negative_prompt": "blur", "phrases": {"car": ("car",)},
    "attributes": {"a": "x", "c": "d"}, "seed": 1, "size": (64, 72), "steps": 21, "guidance": 5.5, "model": "other",
    "model_options": ModelOptions(scheduler="ddim"), "source": InitImage("photos", "1", "a1", 0.5),
    "caption": CaptionSource("a car", class_prompt="a photo of a car"),
    "canvas": Canvas("a road", (CanvasRegion("a car", (0, 0, 64, 64), {"car": ("car",)}),)),
    "layout": LayoutSource("photos", "1", "truth", "a1", 0.75, 16.0, "shared"),
    "guide": Guide((ObjectGuide("car", (0.5, 0.5), 0.1),), 12.0),
}  # fmt: skip


def test_the_id_is_16_hex_digits_over_every_other_field() -> None:
    assert {field.name for field in fields(Job)} == {"job_id", *CONTENT} == {"job_id", *OTHER}
    job = Job.of(**CONTENT)
    assert len(job.job_id) == 16 and int(job.job_id, 16) >= 0
    ids = {Job.of(**{**CONTENT, name: value}).job_id for name, value in OTHER.items()}
    assert len(ids) == len(OTHER) and job.job_id not in ids
    # The order in which mappings and phrases are listed changes nothing.
    same = {
        "phrases": {"bus": ("bus",), "car": ("sedan", "car")},
        "attributes": {"c": "d", "a": "b"},
    }
    assert Job.of(**{**CONTENT, **same}).job_id == job.job_id


def test_ids_do_not_change_from_one_release_to_the_next() -> None:
    # A set that was begun with an older release must go on: change this only with a migration.
    assert Job.of(**CONTENT).job_id == "588d8c95355929e4"
    older = {name: value for name, value in CONTENT.items() if name not in ("model_options", "source", "caption")}
    assert Job.of(**older).job_id == "588d8c95355929e4"


def test_each_prompt_at_every_size() -> None:
    sizes = ((64, 64), (96, 64))
    made = jobs(recipe(size=[list(size) for size in sizes]))
    assert len(made) == 2 * len(jobs(recipe())) == count_jobs(recipe(size=[[64, 64], [96, 64]]))
    assert [(job.seed, job.size) for job in made[:3]] == [(0, sizes[0]), (0, sizes[1]), (1, sizes[0])]
    sampled = jobs(recipe(size=[[64, 64], [96, 64]], sample={"count": 12}))
    assert Counter(job.size for job in sampled) == {size: 6 for size in sizes}
    assert Counter(job.seed for job in sampled) == {0: 4, 1: 4, 2: 4}


def test_random_seeds_are_the_same_each_time() -> None:
    seeds = recipe(seeds={"count": 5, "seed": 3, "lowest": 100, "highest": 120}).seed_list
    assert len(set(seeds)) == 5 and all(100 <= seed <= 120 for seed in seeds)
    assert recipe(seeds={"count": 5, "seed": 3, "lowest": 100, "highest": 120}).seed_list == seeds
    assert recipe(seeds={"count": 5, "seed": 4, "lowest": 100, "highest": 120}).seed_list != seeds


def test_negative_prompts_are_filled_too() -> None:
    made = jobs(recipe(negative_prompt="blurry {place}", seeds=1))
    assert {(job.attributes["place"], job.negative_prompt) for job in made} == {
        ("road", "blurry road"),
        ("beach", "blurry beach"),
    }


def test_the_same_in_every_process() -> None:
    code = (
        "import sys, json\n"
        "from diffucurate.generator.jobs.jobs import jobs\n"
        "from diffucurate.generator.recipe.recipe import Recipe\n"
        "print([job.job_id for job in jobs(Recipe.from_mapping(json.loads(sys.argv[1])))])"
    )
    mapping = {**BASE, "sample": {"count": 9, "seed": 4}}
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, json.dumps(mapping)],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{[job.job_id for job in jobs(Recipe.from_mapping(mapping))]}\n"}


def test_prompts_are_made_once_however_many_ways_lead_to_them() -> None:
    made = jobs(
        recipe(
            templates=["a {colour} {object} on a {place}", "a {object}", "a {place}", "a car"],
            attributes={**BASE["attributes"], "place": ["road", "beach", "car"]},
        )
    )
    prompts = Counter(job.prompt for job in made)
    assert set(prompts.values()) == {3} and prompts["a car"] == 3
    assert len(made) == 3 * (3 * 2 * 3 + 3 + 2)
    assert made[18 * 3].attributes == {"object": "car"}  # only what the template uses


def test_a_prompt_without_any_class_is_a_job_too() -> None:
    made = jobs(recipe(templates=["a {colour} {object} on a {place}", "an empty road"]))
    assert made[-1].phrases == {} and made[-1].prompt == "an empty road"


def test_explicit_seeds() -> None:
    assert [job.seed for job in jobs(recipe(seeds=[5, 3, 4000000000]))[:4]] == [5, 3, 4000000000, 5]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12, 17, 18, 19, 30, 35, 36])
@pytest.mark.parametrize("seed", [0, 1])
def test_samples_are_balanced(count: int, seed: int) -> None:
    part = recipe(sample={"count": count, "seed": seed})
    made, everything = jobs(part), jobs(recipe())
    assert len(made) == count_jobs(part) == count
    assert made == [job for job in everything if job in made]  # a subset, in the order of the whole
    for name, values in BASE["attributes"].items():
        seen = Counter(job.attributes[name] for job in made)
        assert max(seen.values()) - min(seen[value] for value in values) <= 1, name
    seeds = Counter(job.seed for job in made)
    assert max(seeds.values()) - min(seeds[value] for value in range(3)) <= 1


def test_samples_are_balanced_over_several_templates() -> None:
    templates = ["a {object}", "a {colour} {object}", "a {colour} {object} on a {place}"]
    made = jobs(recipe(templates=templates, sample={"count": 30}))
    assert len(made) == len({job.job_id for job in made}) == 30
    shapes = Counter(len(job.attributes) for job in made)
    assert shapes == {1: 9, 2: 10, 3: 11}  # the first template has no more than nine
    for name in BASE["attributes"]:
        seen = Counter(job.attributes[name] for job in made if name in job.attributes)
        assert max(seen.values()) - min(seen.values()) <= 1, name


def test_another_seed_gives_another_sample() -> None:
    samples = [tuple(job.job_id for job in jobs(recipe(sample={"count": 12, "seed": seed}))) for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]


@pytest.mark.parametrize("count", [36, 37, 10**6])
def test_a_sample_of_all_or_more_is_all(count: int) -> None:
    assert jobs(recipe(sample={"count": count})) == jobs(recipe())


def test_a_sample_is_complete_even_where_templates_lead_to_the_same_prompts() -> None:
    changes: dict[str, Any] = {
        "templates": ["a {object} at {a}", "a {object} at {b}"],
        "attributes": {"object": ["car", "bus"], "a": ["x", "y", "z"], "b": ["x", "y", "q"]},
        "seeds": 1,
    }
    whole = {job.prompt for job in jobs(recipe(**changes))}
    assert len(whole) == 8
    for count in range(1, 10):
        made = jobs(recipe(**changes, sample={"count": count}))
        assert len({job.prompt for job in made}) == len(made) == min(count, 8)


def test_a_small_sample_of_a_huge_product_is_quick() -> None:
    attributes = {name: [f"{name}{i}" for i in range(1000)] for name in "abcdef"}
    huge = recipe(
        templates=["a {object} {a} {b} {c} {d} {e} {f}"],
        attributes={"object": ["car", "bus"], **attributes},
        sample={"count": 2000},
    )
    start = time.perf_counter()
    made = jobs(huge)
    assert time.perf_counter() - start < 20  # hours, were the product listed
    assert len({job.job_id for job in made}) == 2000
    assert set(Counter(job.attributes["f"] for job in made).values()) == {2}


def test_the_id_means_the_pixels_that_a_job_starts_from() -> None:
    source = InitImage("photos", "1", "a1", 0.5, Region("truth", "7", "car", 0.3, "b2"))
    job = Job.of(**{**CONTENT, "source": source})
    same = replace(source, dataset="copy", sample_id="2", template="a {c}", region=replace(source.region, instance="8"))
    assert Job.of(**{**CONTENT, "source": same}).job_id == job.job_id
    others = [replace(source, digest="a2"), replace(source, strength=0.6), replace(source, region=None)]
    others.append(replace(source, region=replace(source.region, digest="b3")))
    assert len({job.job_id, *(Job.of(**{**CONTENT, "source": one}).job_id for one in others)}) == 5
    assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job


def test_choices_picture_by_picture_and_evenly_of_a_sample() -> None:
    pictures = {"task": "img2img", "source": {"dataset": "photos"}, "size": "source"}
    every = list(choices(recipe(**pictures), 3))
    each = count_jobs(recipe(**pictures))
    assert len(every) == 3 * each and [choice.init_image for choice in every] == [0] * each + [1] * each + [2] * each
    assert jobs(recipe(**pictures)) == [] and {choice.size for choice in every} == {None}
    some = list(choices(recipe(**pictures, sample={"count": 12}), 3))
    assert [choice.init_image for choice in some] == [0] * 4 + [1] * 4 + [2] * 4
    assert len({(choice.prompt, choice.seed, choice.init_image) for choice in some}) == 12


def test_the_first_of_a_million_jobs_are_made_alone() -> None:
    """``--limit 3`` of a recipe of a million prompts waits for none of the others."""
    values = {name: [f"{name}{index}" for index in range(100)] for name in ("a", "b", "c")}
    content = {"dataset": "x", "classes": {"car": ["car"]}, "templates": ["{a} {b} {c} car"], "attributes": values}
    recipe = Recipe.from_mapping(content)
    tracemalloc.start()
    started = time.monotonic()
    first = jobs(recipe, 3)
    assert time.monotonic() - started < 2 and tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert [job.prompt for job in first] == [f"a0 b0 c{index} car" for index in range(3)]
    small = Recipe.from_mapping({**content, "attributes": {name: each[:3] for name, each in values.items()}})
    assert jobs(small, 7) == jobs(small)[:7] and jobs(small, 99) == jobs(small)
