"""Which classes may be named for labelling, and what a text means where phrases are listed."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.sources.by_phrase import classes_by_phrase
from diffucurate.generator.text.class_names import name_problem, phrases_of, twin_of
from diffucurate.plugin.generation.img2img_inpaint import recipe_from
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.labelling.start import wanted_classes
from diffucurate.plugin.store.classes import extend_classes, read_classes, set_phrases
from diffucurate.plugin.store.media_files import write_png


@pytest.fixture
def photographs(dataset, scenes, tmp_path) -> fo.Dataset:
    dataset.add_sample(fo.Sample(filepath=str(write_png(tmp_path / "0.png", scenes[0].image))))
    return dataset


def test_a_text_is_one_phrase_wherever_phrases_are_listed(photographs: fo.Dataset) -> None:
    classes = wanted_classes(photographs, {"car": "car", "bus": ["bus", "coach"]})
    assert classes == {"car": ("car",), "bus": ("bus", "coach")}
    assert phrases_of({"car": "red car"}) == {"car": ("red car",)}
    assert classes_by_phrase({"car": "sedan"}) == {"sedan": "car", "car": "car"}
    recipe = recipe_from(
        photographs, "img2img", dataset=None, prompt="a red car", classes={"car": "car"}, attributes=None
    )
    assert recipe.classes == {"car": ["car"]}
    assert extend_classes(photographs, {"car": "car"}) == {"car": ("car",)}


def test_phrases_that_are_given_take_the_place_of_earlier_ones(photographs: fo.Dataset) -> None:
    """Letters that a text was once taken for are cured by naming the phrases."""
    extend_classes(photographs, {"car": ["c", "a", "r"], "bus": ["bus"]})

    class Nothing:
        name = "truth"

        def label(self, images):
            from diffucurate.generator.labels.model import Labels

            return [Labels.from_instances([], ("car",), image.shape[:2]) for image in images]

    label(photographs, source=Nothing(), classes={"car": "car"})
    assert read_classes(photographs) == {"car": ("car",), "bus": ("bus",)}
    set_phrases(photographs, {"lorry": ["lorry"]})  # is no class of the dataset
    assert list(read_classes(photographs)) == ["car", "bus"]


@pytest.mark.parametrize(
    "name", ["../x", "background", "Ignore", "$where", "", " car", "a" * 65, "a,b", "a.b", "1st", "_x", "a\n", 1, None]
)
def test_names_that_no_class_can_have_are_refused_before_anything_is_kept(photographs: fo.Dataset, name: Any) -> None:
    assert name_problem(name)
    for classes in ([name], {name: ["x"]}):
        with pytest.raises(InvalidSetting, match="classes"):
            label(photographs, source="attention", classes=classes)
    assert read_classes(photographs) == {} and photographs.list_runs() == []


@pytest.mark.parametrize("name", ["car", "traffic light", "t-shirt", "fire_truck", "Bahnübergang", "自転車", "a" * 64])
def test_names_of_other_data_sets_are_taken(name: str) -> None:
    assert name_problem(name) is None


def test_names_that_differ_in_capitals_only_are_refused(photographs: fo.Dataset) -> None:
    for classes in (["CAR", "car"], ["traffic light", "traffic_light"]):
        with pytest.raises(InvalidSetting, match="differs from"):
            wanted_classes(photographs, classes)
    extend_classes(photographs, {"car": ["car"]})
    with pytest.raises(InvalidSetting, match="classes: 'CAR' - it differs from 'car'"):
        wanted_classes(photographs, ["CAR"])
    assert twin_of("car", ["bus", "car"]) is None


@pytest.mark.parametrize("phrases", [[], [""], [3], "", None])
def test_classes_without_phrases_are_refused(photographs: fo.Dataset, phrases: Any) -> None:
    with pytest.raises(InvalidSetting, match=r"classes\.car"):
        wanted_classes(photographs, {"car": phrases})


def test_a_dataset_that_is_deleted_while_nothing_is_found_is_named(photographs: fo.Dataset) -> None:
    copy = photographs.clone()

    class Deleting:
        name = "truth"

        def label(self, images):
            fo.delete_dataset(copy.name)
            return []

    with pytest.raises(DatasetError, match="was deleted while it was labelled"):
        label(copy, source=Deleting(), classes=["car"])
