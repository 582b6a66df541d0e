"""Samples are varied by seed and attribute, linked to their source, once only, and runs that stop go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.regenerate import plan, regenerate
from diffucurate.plugin.generation.repaint import repaint
from diffucurate.plugin.provenance.provenance import provenance
from diffucurate.plugin.provenance.recipe_of_sample import recipe_of
from diffucurate.plugin.store.media_files import read_maps

CAR, BUS = "a red car at noon", "a red bus at noon"


def content(samples: fo.DatasetView | fo.Dataset) -> list[tuple[str, int]]:
    return sorted(zip(*samples.values(["prompt", "seed"]), strict=True))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"seeds": 2}, [(CAR, 2), (CAR, 3)]),
        ({"seeds": [0, 7]}, [(CAR, 7)]),  # 0 is the source's own
        ({"seeds": range(1, 3)}, [(CAR, 1), (CAR, 2)]),  # 1 is there already
        ({"attributes": {"time": "night"}}, [("a red car at night", 0)]),
        ({"attributes": {"colour": ["red", "blue"]}}, [("a blue car at noon", 0)]),
        ({"attributes": {"object": "bus"}}, [(BUS, 0)]),  # there already
        ({"attributes": {"object": ["sedan", "small car"], "time": ["night"]}},
         [("a red sedan at night", 0), ("a red small car at night", 0)]),
        ({"attributes": {"time": "night"}, "seeds": 2}, [("a red car at night", 1), ("a red car at night", 2)]),
        ({"attributes": {"time": ["noon", "night"]}, "seeds": [4]}, [("a red car at night", 4), (CAR, 4)]),
    ],
)  # fmt: skip
def test_what_is_made_of_one_sample(generated, asked, expected):
    source = generated.first()
    before = set(generated.values("id"))
    made = regenerate(source, **asked)
    assert content(made) == expected
    for sample in made:
        if sample.id not in before:
            told = provenance(sample)
            assert (sample.source_id, told.source_id, told.run.verb) == (source.id, source.id, "regenerate")
            assert told.changed == () and told.job.attributes["colour"] in sample.prompt


def test_new_samples_are_whole_and_of_one_kind_with_the_others(generated):
    (sample,) = regenerate(generated.first(), attributes={"object": "bus and a sedan"})
    assert sample.attributes.object == "bus and a sedan"
    assert set(read_maps(sample.attention_maps)) == {"car", "bus"}
    assert sample.heatmap_car is not None and sample.heatmap_bus is not None
    assert sample.attention_instances is not None and Path(sample.attention_mask.mask_path).is_file()
    assert sample.run_key in sample.filepath and (sample.metadata.width, sample.painted.device) == (64, "cpu")
    assert repaint(sample)[0].identical
    assert generate(recipe_of(sample)).count() == 5
    (grandchild,) = regenerate(sample, seeds=1)
    assert (grandchild.prompt, grandchild.source_id) == ("a red bus and a sedan at noon", sample.id)


def test_several_samples_share_prompts_without_meeting(generated):
    assert content(regenerate(generated[:2], seeds=2)) == [(CAR, 2), (CAR, 3), (CAR, 4), (CAR, 5)]
    made = regenerate(generated[:4], attributes={"object": "bus"}, seeds=[9])
    assert content(made) == [(BUS, 9)]  # all four would be this one
    assert made.first().source_id == generated.first().id
    assert len(generated) == 9


def test_several_recipes_are_several_runs(generated, model_folder):
    other = {**provenance(generated.first()).recipe.model_dump(mode="json"), "steps": 2, "seeds": 1}
    generate({**other, "templates": ["a {object}"], "attributes": {"object": ["car", "bus"]}})
    told: list[Any] = []
    changes = {"colour": "blue", "object": "car"}
    made = regenerate(generated.match({"seed": 0}), attributes=changes, progress=told.append)
    assert content(made) == [("a blue car at noon", 0), ("a car", 0)]
    assert [(report.done, report.total) for report in told] == [(1, 1)]  # the car without colour was there
    regenerate(generated.match({"seed": 0}), seeds=[5], progress=told.append)
    assert [(report.done, report.total) for report in told[1:]] == [(3, 5), (5, 5)]
    assert len(generated.list_runs(method="diffucurate/regenerate")) == 3


def test_asking_again_adds_nothing_but_for_fresh_seeds(generated):
    source = generated.first()
    for _ in range(2):
        assert len(regenerate(source, seeds=[5, 6], attributes={"time": "night"})) == 2
    assert len(generated) == 6
    assert len(generated.list_runs(method="diffucurate/regenerate")) == 1
    assert content(regenerate(source, seeds=1)) == [(CAR, 2)]
    assert content(regenerate(source, seeds=1)) == [(CAR, 3)]


@pytest.mark.parametrize("seeds", [12, list(range(10, 22))])
def test_stopped_run_goes_on_where_it_was(generated, seeds):
    def interrupt(report: Any) -> None:
        if report.done > 8:
            raise KeyboardInterrupt

    source = generated.first()
    with pytest.raises(KeyboardInterrupt):
        regenerate(source, seeds=seeds, progress=interrupt)
    assert len(generated) == 4 + 8
    (key,) = generated.list_runs(method="diffucurate/regenerate")
    _, (part,) = plan(source, seeds=seeds)
    assert (part.key, len(part.wanted), len(part.todo)) == (key, 12, 4)
    assert len(regenerate(source, seeds=seeds)) == 12
    assert len(generated) == 4 + 12
    assert generated.list_runs(method="diffucurate/regenerate") == [key]
    assert generated.get_run_info(key).config.status == "done"
    assert set(generated[4:].values("run_key")) == {key}


WRONG = [
    ({}, "seeds", "how many new seeds"),
    ({"attributes": {}}, "seeds", "how many new seeds"),
    ({"seeds": 0}, "seeds", "at least 1"),
    ({"seeds": True}, "seeds", "whole number"),
    ({"seeds": [-1]}, "seeds", "from 0 to"),
    ({"seeds": [3, 3]}, "seeds", "listed 2 times"),
    ({"seeds": "many"}, "seeds", "whole number"),
    ({"seeds": 10**6, "attributes": {"time": ["night", "dusk"]}}, "seeds", "2,000,000 images"),
    ({"attributes": {"weather": "fog"}}, "attributes.weather", "they have colour, object, time"),
    ({"attributes": {"time": []}}, "attributes.time", "list at least one value"),
    ({"attributes": {"time": " "}}, "attributes.time[0]", "blank"),
    ({"attributes": {"object": ["bus", "piano"], "time": "night"}}, "attributes.object", "none of the classes"),
]


def test_what_is_wrong_is_said_before_anything_is_made(generated):
    for asked, field, words in WRONG:
        with pytest.raises(InvalidSetting, match=words) as caught:
            regenerate(generated.first(), **asked)
        assert caught.value.field == field
    assert len(generated) == 4 and len(generated.list_runs()) == 1


def test_samples_of_elsewhere_are_refused(dataset):
    dataset.add_sample(fo.Sample(filepath="/mine.png"))
    with pytest.raises(DatasetError, match="not painted by Diffucurate"):
        regenerate(dataset, seeds=1)
