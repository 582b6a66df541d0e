"""A thousand hostile recipes: each is taken, or refused in one sentence; nothing runs, nothing takes long."""

from __future__ import annotations

import time
from typing import Any

import pytest
from mutations import variations

from diffucurate.generator.errors import DiffucurateError, RecipeError
from diffucurate.generator.jobs.image_count import images_of
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.models.completed import completed
from diffucurate.generator.recipe.recipe import Recipe

STREETS: dict[str, Any] = {
    "dataset": "streets",
    "classes": {"car": ["car", "sedan"], "bus": ["bus"]},
    "templates": ["a {colour} {object} on a {place}", "a photo of a {object}"],
    "attributes": {"colour": ["red", "blue"], "object": ["car", "bus"], "place": ["road"]},
    "seeds": 2,
    "negative_prompt": "fog",
    "sample": {"count": 5, "seed": 1},
}
OTHERS: dict[str, dict[str, Any]] = {
    "text": STREETS,
    "canvas": {**STREETS, "task": "canvas", "canvas": {"regions": [1, 2], "background": "a {place}", "overlap": 0.2}},
    "img2img": {
        **STREETS,
        "task": "img2img",
        "source": {"dataset": "photos", "samples": ["5f3"], "where": {"colour": ["red"]}},
        "strength": [0.4, 0.6],
    },
    "inpaint": {
        **STREETS,
        "task": "inpaint",
        "source": {"folder": "photos"},
        "objects": {"field": "truth", "margin": 0.1},
    },
    "captions": {
        **{name: STREETS[name] for name in ("dataset", "classes")},
        "captions": {"texts": ["a red car", {"caption": "a bus", "classes": ["bus"]}], "class_prompt": "append"},
    },
    "options": {
        **STREETS,
        "scheduler": "euler",
        "loras": [{"path": "a.safetensors", "scale": 0.5}],
        "tokens": [{"path": "b.safetensors", "placeholder": "<piano>"}],
        "size": [[128, 128], [64, 64]],
        "memory": "low",
    },
}


@pytest.mark.parametrize("kind", list(OTHERS))
def test_recipes(kind: str) -> None:
    taken = 0
    for index, content in enumerate(
        variations(OTHERS[kind], 170, seed=index_of(kind), others=tuple(Recipe.model_fields))
    ):
        started = time.monotonic()
        try:
            recipe = Recipe.from_mapping(content)
            images_of(recipe)
            jobs(completed(recipe, local_only=True), 2)
            taken += 1
        except DiffucurateError as error:
            text = str(error)
            assert text and "\n" not in text and len(text) < 2_000, (index, text[:300])
            assert "Traceback" not in text and " object at 0x" not in text, (index, text[:300])
        assert time.monotonic() - started < 20, index
    assert taken < 170  # what does nothing is no test


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = ["car"]
    endless.append(endless)
    for field in ("templates", "seeds", "size", "captions"):
        with pytest.raises(RecipeError):
            Recipe.from_mapping({**STREETS, field: endless})
    with pytest.raises(RecipeError):
        Recipe.parse("dataset: streets\ntemplates: &all [a car, *all]\nclasses: {car: [car]}")


def index_of(kind: str) -> int:
    return list(OTHERS).index(kind)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]" for n in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch /tmp/never']",
        "dataset: !!python/name:os.system",
        BOMB,
        "[" * 20_000,
        '{"a":' * 20_000,
        "\x00\x01\x02",
        "dataset: x\ndataset: y",
        "- a\n- b",
        "? [complex]\n: key",
        "%YAML 9.9\n---\na: 1",
        "a: b: c: d",
        "\t",
        "&a {<<: *a}",
        "<<: [1, 2]",
        "9" * 5_000,
    ],
    ids=range(15),
)
def test_texts(text: str) -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe.parse(text)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 2_000
