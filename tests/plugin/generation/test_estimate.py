"""How long painting takes, as told by the runs before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.generation.estimate import Pace, in_words, pace

if TYPE_CHECKING:
    import fiftyone as fo

MODEL = "someone/measured"


def recipe(**changes: Any) -> Recipe:
    content = {"dataset": "d", "model": MODEL, "classes": {"car": ["car"]}, "templates": ["a car"]}
    return Recipe.from_mapping({**content, "size": [128, 128], "steps": 20, "guidance": 5.0, **changes})


@pytest.fixture
def record(dataset: fo.Dataset) -> Any:
    from diffucurate.plugin.store import runs

    def record(seconds: float, added: int = 10, *, device: str = "cpu", **changes: Any) -> None:
        settings = {"recipe": recipe(**changes).model_dump(mode="json")}
        with runs.recorded(dataset, "generate", settings) as run:
            run.facts |= {"added": added, "seconds": seconds, "device": device}

    return record


def test_nothing_is_known_but_of_the_built_in_model() -> None:
    assert pace(recipe()) is None
    assumed = pace(recipe(model="tiny"))
    assert assumed is not None and assumed.basis == "assumed"
    assert pace(recipe(model="tiny"), "cuda") is None


def test_nothing_is_known_of_values_that_are_left_to_the_model(record) -> None:
    record(10.0)
    assert pace(recipe()) is not None
    for name in ("size", "steps", "guidance"):
        assert pace(recipe(**{name: None})) is None


def test_the_same_settings_count_before_later_runs_with_others(record) -> None:
    record(20.0)
    record(10.0)
    record(99.0, steps=40)
    assert pace(recipe()) == Pace(1.0, "cpu", "measured")
    assert pace(recipe(), "cuda") is None


@pytest.mark.parametrize(
    ("changes", "times"),
    [({"steps": 40}, 2), ({"size": [256, 256]}, 4), ({"guidance": 0.0}, 0.5), ({"steps": 5}, 0.25)],
)
def test_other_settings_are_scaled(record, changes: dict[str, Any], times: float) -> None:
    record(10.0, device="cuda:0")
    assert pace(recipe(**changes)) == Pace(pytest.approx(times), "cuda:0", "scaled")


def test_runs_that_painted_nothing_tell_nothing(record, dataset: fo.Dataset) -> None:
    record(5.0, 0)
    assert pace(recipe()) is None


def test_the_runs_of_a_deleted_dataset_are_gone(dataset: fo.Dataset) -> None:
    import fiftyone as fo

    from diffucurate.plugin.store import runs

    other = fo.Dataset()
    with runs.recorded(other, "generate", {"recipe": recipe().model_dump(mode="json")}) as run:
        run.facts |= {"added": 1, "seconds": 1.0, "device": "cpu"}
    assert pace(recipe()) is not None
    other.delete()
    assert pace(recipe()) is None


@pytest.mark.parametrize(
    ("images", "known", "words"),
    [
        (
            96,
            Pace(0.42, "cpu", "measured"),
            "About 40 seconds on this machine's CPU, 0.42 s each as measured in",
        ),
        (600, Pace(12.3, "cuda:0", "scaled"), "About 2 hours on this machine's GPU, 12 s each, scaled from"),
        (1, Pace(0.1, None, "assumed"), "About a second at 0.1 s each, a guess"),
        (10**6, Pace(1.0, "cpu", "measured"), "About 11 days"),
        (5, None, "known after a first run"),
    ],
)
def test_words(images: int, known: Pace | None, words: str) -> None:
    assert words in in_words(images, known)
