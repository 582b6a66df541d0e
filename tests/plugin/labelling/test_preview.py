"""What a preview shows: exactly what labelling would store, in the dataset's colours, without storing it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.maps.stored_maps import as_stored
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.labelling.plan import Plan, plan
from diffucurate.plugin.labelling.preview import class_colours, first_with_maps, preview
from diffucurate.plugin.store.label_files import store_heatmaps
from diffucurate.plugin.store.label_values import instances_of
from diffucurate.plugin.store.media_files import write_png
from diffucurate.plugin.store.schema import declare_heatmaps

STRICT = LabelSettings(floor=0.9, surround=0.0)


@pytest.fixture
def streets(dataset, scenes, tmp_path) -> fo.Dataset:
    """Three scenes, of which the last two keep class maps drawn from their exact masks; nothing is labelled."""
    from diffucurate.plugin.store.classes import extend_classes

    declare_heatmaps(dataset, extend_classes(dataset, {name: [name] for name in CLASSES}))
    for index, scene in enumerate(scenes[:3]):
        sample = fo.Sample(filepath=str(write_png(tmp_path / f"{index}.png", scene.image)))
        if index:
            names = {thing.label for thing in scene.objects}
            exact = {name: cv2.resize(np.float32(scene.class_mask([name])), (32, 32)) for name in names}
            maps = as_stored({name: cv2.GaussianBlur(mask, (7, 7), 0) for name, mask in exact.items()})
            for field, value in store_heatmaps(maps, scene.image.shape[:2], tmp_path, f"{index}-test").items():
                sample[field] = value
        dataset.add_sample(sample)
    return dataset


def found(labels) -> list[tuple[str, float, bytes]]:
    return [(thing.label, thing.confidence, thing.mask.tobytes()) for thing in labels]


@pytest.mark.parametrize("settings", [LabelSettings(), STRICT])
def test_it_shows_what_labelling_would_store_and_stores_nothing(streets, settings):
    sample = first_with_maps(streets)
    before = sample.to_dict()
    made = preview(sample, settings)
    assert sample.to_dict() == before and streets.list_runs() == []
    assert made.current is None and made.now is None
    label(streets.select(sample.id), source="attention", settings=settings)
    sample.reload()
    assert found(made.labels.instances) == found(instances_of(sample.attention_instances, made.image.shape[:2]))
    again = preview(sample, settings)
    assert np.array_equal(again.now, again.then)


def test_labels_are_drawn_in_the_datasets_colours(streets):
    label(streets.match({"attention_maps": {"$ne": None}}), source="attention")
    sample = first_with_maps(streets)
    made = preview(sample, STRICT)
    assert made.then.shape == made.image.shape and made.then.dtype == np.uint8
    changed = (made.then != made.image).any(axis=-1)
    assert np.array_equal(changed, np.logical_or.reduce([thing.mask for thing in made.labels.instances]))
    thing = made.labels.instances[0]
    colour = class_colours(streets, "attention", [thing.label])[thing.label]
    outline = {tuple(pixel) for pixel in made.then[thing.mask]}
    assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in outline


def test_colours_that_a_person_chose_are_used(streets):
    chosen = {"path": "attention_instances", "valueColors": [{"value": "car", "color": "#010203"}]}
    streets.app_config.color_scheme = fo.ColorScheme(fields=[chosen])
    colours = class_colours(streets, "attention", ["car", "zebra"])
    assert colours["car"] == "#010203" and colours["zebra"] not in (None, "#010203")


def test_without_kept_maps_there_is_nothing_to_preview(streets):
    first, second, _ = streets
    with pytest.raises(DatasetError, match="keeps no heatmaps, so without a model there is nothing to preview"):
        preview(first)
    Path(second.attention_maps).unlink()
    with pytest.raises(DatasetError, match="keeps no heatmaps"):
        preview(second)
    assert first_with_maps(streets.limit(1)) is None


def test_classes_can_be_chosen_and_bad_ones_are_refused(streets):
    sample = first_with_maps(streets)
    name = preview(sample).labels.instances[0].label
    assert {thing.label for thing in preview(sample, classes=[name]).labels.instances} == {name}
    with pytest.raises(InvalidSetting, match="classes"):
        preview(sample, classes=[])
    Path(sample.filepath).unlink()
    with pytest.raises(DatasetError, match="cannot be read"):
        preview(sample)


def test_plan_counts_what_there_is_to_do(streets):
    assert plan(streets, "attention") == Plan(images=3, mapped=2, labelled=0, foreign=1)
    label(streets.skip(2), source="attention")
    assert plan(streets, "attention") == Plan(3, 2, 1, 1)
    assert plan(streets.limit(2), "attention") == Plan(2, 1, 0, 1)
    assert plan(streets.match_tags("none"), "yolov8") == Plan(0, 0, 0)


def test_labels_from_kept_maps_load_no_model(streets):
    streets.persistent = True  # another process reads it
    code = (
        "import sys, fiftyone as fo\n"
        "from diffucurate.generator.labels.settings import LabelSettings\n"
        "from diffucurate.plugin.labelling.label import label\n"
        "from diffucurate.plugin.labelling.preview import preview\n"
        "samples = fo.load_dataset(sys.argv[1]).exists('attention_maps')\n"
        "preview(samples.first())\nlabel(samples, source='attention', settings=LabelSettings(floor=0.6))\n"
        "sys.exit(str(sorted({'diffusers', 'diffucurate.generator.models.load'} & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, streets.name], capture_output=True, text=True, timeout=120)
    assert done.stderr.strip().splitlines()[-1] == "[]", done.stderr
    streets.reload()
    assert streets.count("attention_instances") == 2
