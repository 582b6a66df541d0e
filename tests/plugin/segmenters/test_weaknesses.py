"""What a segmenter is weak at, by class and attribute, and the recipe for more of it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.segmenters.weaknesses import find_weaknesses, generate_more

SHAPE = (32, 64)
RECIPE = Recipe.from_mapping(
    {
        "dataset": "elsewhere",
        "size": [64, 64],
        "steps": 2,
        "guidance": 1.0,
        "classes": {"car": ["car"], "bus": ["bus"]},
        "templates": ["a {object} at {time}"],
        "attributes": {"object": ["car", "bus"], "time": ["noon", "night"]},
    }
)


def bar(name: str, left: int, right: int) -> Labels:
    mask = np.zeros(SHAPE, np.bool_)
    mask[:, left:right] = True
    return Labels.from_instances([Instance(name, mask, 0.9)], ("car", "bus"), SHAPE)


@pytest.fixture
def judged(dataset, add_scenes):
    """Cars are found by day (IoU 0.8), and missed at night; buses are found exactly."""
    import fiftyone as fo

    truth = [bar("car", 0, 20), bar("car", 0, 20), bar("bus", 10, 30), bar("bus", 10, 30)]
    nothing = Labels.from_instances([], ("car", "bus"), SHAPE)
    student = [bar("car", 0, 16), nothing, bar("bus", 10, 30), bar("bus", 10, 30)]
    add_scenes([Scene(np.zeros((*SHAPE, 3), np.uint8), (), "", {}, 0)] * 4, truth=truth, student=student)
    times = ("noon", "night", "noon", "night")
    dataset.set_values("attributes", [fo.DynamicEmbeddedDocument(time=time) for time in times])
    dataset.add_sample_field("attributes.time", fo.StringField)
    dataset.set_values("seed", [4, 5, 6, 7])
    return dataset


def test_means_are_over_the_references_instances(judged) -> None:
    with pytest.raises(DatasetError, match="were not compared"):
        find_weaknesses(judged, "truth", "student")
    compare(judged, "student", "truth")
    found = {(each.kind, each.value): each for each in find_weaknesses(judged, "truth", "student")}
    assert found["class", "car"].iou == pytest.approx(0.4) and found["class", "bus"].iou == pytest.approx(1)
    assert found["time", "night"].iou == pytest.approx(0.5) and found["time", "noon"].iou == pytest.approx(0.9)
    assert found["class", "car"].instances == 2
    assert found["class", "car"].weight > 1 > found["class", "bus"].weight
    kinds = [each.kind for each in find_weaknesses(judged, "truth", "student")]
    assert kinds == ["class", "class", "time", "time"]
    with pytest.raises(InvalidSetting, match=r"cap.*0\.5"):
        find_weaknesses(judged, "truth", "student", cap=0.5)


def test_the_next_round_has_more_of_what_is_weak(judged) -> None:
    compare(judged, "student", "truth")
    with pytest.raises(DatasetError, match="no recipe with templates"):
        generate_more(judged, "truth", "student")
    more = generate_more(judged, "truth", "student", 12, recipe=RECIPE)
    made = jobs(more.recipe)
    assert more.recipe.dataset == judged.name and len(made) == 12
    assert min(job.seed for job in made) == 8  # above those of the images that are there
    assert Counter(job.attributes["object"] for job in made)["car"] >= 6
    assert more.to_dict()["weaknesses"][0]["value"] == "car"
