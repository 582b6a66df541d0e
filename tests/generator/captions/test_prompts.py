"""Captions in recipes: prompts, class prompts and jobs, and what is counted or refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from diffucurate.generator.captions.prompts import caption_prompts, class_prompt
from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.image_count import images_of
from diffucurate.generator.jobs.jobs import Job, jobs
from diffucurate.generator.recipe.recipe import Recipe

CLASSES = {"vehicle": ["car", "bus"], "hydrant": ["fire hydrant"], "dog": ["dog"]}


def recipe(captions: Any, classes: Any = None, **more: Any) -> Recipe:
    return Recipe.from_mapping({"dataset": "d", "classes": classes or CLASSES, "captions": captions, **more})


def listed(*captions: Any, way: str | None = None) -> dict[str, Any]:
    return {"texts": list(captions), **({} if way is None else {"class_prompt": way})}


@pytest.mark.parametrize(
    ("caption", "way", "prompt", "asked", "phrases"),
    [
        # By default the words of a caption that comes alone find its classes, plurals too.
        ("two buses and a dog", None, "two buses and a dog", None, {"vehicle": ("bus",), "dog": ("dog",)}),
        # Dataset Diffusion's way is the default of one that comes with classes.
        (
            {"caption": "a puppy", "classes": ["dog", "fire hydrant"]}, None,
            "a puppy; dog; fire hydrant", "a photo of a dog and a fire hydrant",
            {"hydrant": ("fire hydrant",), "dog": ("dog",)},
        ),
        # A name that is another phrase of its class stays as it is; the caption's own words count too.
        (
            {"caption": "a bus", "classes": ["car"]}, "separate",
            "a bus", "a photo of a car", {"vehicle": ("car", "bus")},
        ),
        # A class by its own name is called as the caption does, and else by its first phrase.
        (
            {"caption": "a bus", "classes": ["vehicle"]}, "append",
            "a bus; bus", "a photo of a bus", {"vehicle": ("bus",)},
        ),
        (
            {"caption": "a road", "classes": ["vehicle"]}, "append",
            "a road; car", "a photo of a car", {"vehicle": ("car",)},
        ),
        # Without a list the classes are those that the caption says.
        ("a red car", "append", "a red car; car", "a photo of a car", {"vehicle": ("car",)}),
        # A list is no use to those who look at the caption's words alone.
        ({"caption": "a dog", "classes": ["car"]}, "none", "a dog", None, {"dog": ("dog",)}),
        # Braces, weights and quotes are plain text.
        ("a {colour} car++ (dog)1.3", None, "a {colour} car++ (dog)1.3", None, {"vehicle": ("car",), "dog": ("dog",)}),
    ],
)  # fmt: skip
def test_ways(caption: Any, way: str | None, prompt: str, asked: str | None, phrases: dict[str, Any]) -> None:
    classes = {label: CLASSES[label] for label in phrases}
    (job,) = jobs(recipe(listed(caption, way=way), classes))
    assert (job.prompt, job.class_prompt, job.phrases) == (prompt, asked, phrases)
    assert job.caption is not None and set(job.caption.classes) == set(phrases)
    assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job
    # One caption alone is a recipe of the same job.
    again = {"texts": [job.caption.entry()], "class_prompt": way or ("none" if asked is None else "append")}
    assert [other.job_id for other in jobs(recipe(again, classes))] == [job.job_id]


def test_a_caption_is_the_same_job_as_its_prompt_in_a_template() -> None:
    classes = {"dog": ["dog"]}
    plain = Recipe.from_mapping({"dataset": "d", "classes": classes, "templates": ["a dog"]})
    assert jobs(recipe(["a dog"], classes))[0].job_id == jobs(plain)[0].job_id
    assert plain.fingerprint() == "02bc001e6ff297b1", "recipes without captions keep their fingerprint"
    ids = {jobs(recipe(listed("a dog", way=way), classes))[0].job_id for way in ("none", "separate", "append")}
    assert len(ids) == 3


def test_what_is_counted() -> None:
    captions = [
        "a car",
        "a cat",
        "a  car",
        {"caption": "a dog", "classes": ["hot dog", "dog"]},
        {"caption": "a hydrant", "classes": ["fire hydrant", "hot dog"]},
        {"caption": "dogs", "classes": []},
    ]
    made = recipe(captions).captions
    assert made is not None
    count = caption_prompts(made, CLASSES).counted
    assert (count.read, count.used, count.repeated, count.without_class) == (6, 3, 1, 2)
    assert count.unknown == {"hot dog": 2}, "a hot dog is no dog"
    assert count.to_dict()["unknown"] == [["hot dog", 2]]
    unsaid = recipe(listed(*captions, {"caption": "a fire hydrant", "classes": ["dog"]}, way="none")).captions
    assert unsaid is not None
    count = caption_prompts(unsaid, CLASSES).counted
    assert count.unsaid == {"hydrant": 1, "dog": 1}
    assert count.remarks() == [
        "2 captions left out that name none of the classes",
        "1 caption left out that are there already",
        "names that are none of the classes: hot dog (2)",
        "classes that captions do not say and so are not labelled: hydrant (1), dog (1)",
    ]


@pytest.mark.parametrize(
    ("content", "field", "words"),
    [
        ({"captions": ["a cat"]}, "captions", "none of its 1 captions names a class (vehicle, hydrant, dog)"),
        ({"captions": ["a car"]}, "classes", "no caption names them; give them other phrases or remove them"),
        ({"captions": [{"caption": "a car", "classes": ["car", "van"]}]}, "classes", "came with them: van (1)"),
        ({"captions": []}, "captions", "it holds no captions"),
        ({"captions": "none.txt"}, "captions", "there is no such file"),
        ({"captions": {}}, "captions", "give either a path"),
        ({"captions": {"path": "a.txt", "texts": ["a car"]}}, "captions", "give either a path"),
        ({"captions": {"texts": ["a car"], "instances": "a.json"}}, "captions.instances", "leave them out"),
        ({"captions": {"paths": "a.txt"}}, "captions.paths", "did you mean 'path'?"),
        ({"captions": {"path": "a.txt", "class_prompt": "both"}}, "captions.class_prompt", "it must be 'append'"),
        ({"captions": {"path": "a.txt", "per_image": 0}}, "captions.per_image", "at least 1"),
        ({"captions": [7]}, "captions", "an entry is a text or a mapping"),
        ({"captions": ["a car"] * 10_001}, "captions.texts", "at most 10,000 captions"),
        ({"captions": ["a car"], "templates": ["a car"]}, "templates", "the captions are the prompts"),
        ({"captions": ["a car"], "attributes": {"a": ["b"]}}, "attributes", "the captions are the prompts"),
        ({"captions": ["a car"], "negative_prompt": "{colour}"}, "negative_prompt", "'{colour}' has no value"),
        ({"captions": ["a car"], "task": "img2img", "source": {"dataset": "p"}}, "captions", "takes templates only"),
    ],
)
def test_what_is_refused(content: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(RecipeError) as error:
        jobs(Recipe.from_mapping({"dataset": "d", "classes": CLASSES, **content}))
    assert error.value.field == field and words in str(error.value)


def test_a_sample_takes_classes_evenly() -> None:
    captions = [f"a car at {hour}" for hour in range(40)] + ["a dog at 1", "a dog at 2", "a fire hydrant at 1"]
    whole = recipe(captions, seeds=2)
    assert images_of(whole).images == len(jobs(whole)) == 86
    part = recipe(captions, seeds=2, sample={"count": 9, "seed": 4})
    made = jobs(part)
    assert images_of(part).images == len(made) == 9 == len({job.prompt for job in made})
    assert Counter(label for job in made for label in job.phrases) == {"vehicle": 6, "hydrant": 1, "dog": 2}
    assert sorted(Counter(job.seed for job in made).values()) == [4, 5]
    assert made == jobs(part) != jobs(recipe(captions, seeds=2, sample={"count": 9, "seed": 5}))
    # More images than captions: each again, with another seed.
    assert (
        Counter(job.prompt for job in jobs(recipe(captions, seeds=2, sample={"count": 80}))).most_common()[-1][1] == 1
    )
    assert len(jobs(recipe(captions, seeds=2, sample={"count": 80}))) == 80


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_text("a dog\n")
    dogs = recipe(str(path), {"dog": ["dog"]})
    assert [(job.prompt, job.caption.file) for job in jobs(dogs) if job.caption] == [("a dog", str(path))]
    path.write_text("a dog\ntwo dogs\n")
    assert [job.prompt for job in jobs(dogs)] == ["a dog", "two dogs"]


def test_class_prompt() -> None:
    assert class_prompt(["car", "apple", "bus"]) == "a photo of a car, an apple and a bus"
