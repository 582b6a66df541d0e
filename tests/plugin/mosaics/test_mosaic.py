"""Mosaics in a dataset: their labels, where they came from, and what is not done twice."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.model import IGNORE, Instance, Labels
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.mosaics.grids import parse_grids
from diffucurate.plugin.mosaics.mosaic import mosaic
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.instances import read_instances
from diffucurate.plugin.store.media_files import read_image


def labels_of(scene):
    shape = scene.image.shape[:2]
    found = [Instance(each.label, each.mask, 0.5) for each in scene.objects if each.label in CLASSES]
    labels = Labels.from_instances(found, CLASSES, shape)
    labels.semantic[:2] = IGNORE
    return labels


@pytest.fixture
def labelled(dataset, add_scenes, scenes):
    add_scenes(scenes, truth=[labels_of(scene) for scene in scenes[:5]] + [None])
    return dataset


def test_labels_are_carried_over_exactly(labelled, scenes):
    before = labelled.values("id")
    made = mosaic(labelled, source="truth", count=3, grids=[(2, 2)], longest=256)
    labelled.reload()
    assert len(made) == 3 and len(labelled) == 9
    for sample in made:
        assert sample.tags == ["mosaic"] and sample.task == "mosaic"
        parents = [scenes[before.index(each)] for each in sample.mosaic.parents]
        assert (sample.mosaic.rows, sample.mosaic.columns, len(set(sample.mosaic.parents))) == (2, 2, 4)
        assert before[5] not in sample.mosaic.parents  # which is not labelled
        image = read_image(sample.filepath)
        rows = [np.hstack([scene.image for scene in parents[row : row + 2]]) for row in (0, 2)]
        assert np.array_equal(image, np.vstack(rows))
        masks = [np.hstack([labels_of(scene).semantic for scene in parents[row : row + 2]]) for row in (0, 2)]
        assert np.array_equal(sample.truth_mask.get_mask(), np.vstack(masks))
        found = read_instances(sample.truth_instances, image.shape[:2]).instances
        expected = [each for scene in parents for each in labels_of(scene).instances]
        assert [(each.label, each.area) for each in found] == [(each.label, each.area) for each in expected]
        assert len(sample.truth_polygons.polylines) == len(expected)
    assert list(read_classes(labelled)) == list(CLASSES)
    (run,) = labelled.list_runs(method="diffucurate/mosaic")
    assert labelled.get_run_info(run).config.facts == {"added": 3} and set(made.values("run_key")) == {run}


def test_the_same_mosaics_are_made_once_and_of_images_alone(labelled):
    first = mosaic(labelled, source="truth", count=4, grids=[(1, 2)])
    assert len(first) == 4 and max(first.values("metadata.width")) == 128
    assert len(mosaic(labelled, source="truth", count=4, grids=[(1, 2)])) == 0
    more = mosaic(labelled, source="truth", count=4, grids=[(1, 2)], seed=1)
    assert len(more) and not set(first.values("id")) & {each for row in more.values("mosaic.parents") for each in row}


def test_fields_of_others_keep_their_place(labelled):
    for sample in labelled[:2]:
        sample["ground_truth"] = fo.Detections(detections=[each.copy() for each in sample.truth_instances.detections])
        sample.save()
    (made,) = mosaic(labelled, source="ground_truth", count=1, grids=[(2, 1)])
    assert len(made.ground_truth.detections) > 0 and made.truth_instances is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"count": 0}, InvalidSetting, "count: 0 - use a number above 0"),
        ({"longest": 0}, InvalidSetting, "longest: 0"),
        ({"grids": []}, InvalidSetting, "name at least one"),
        ({"grids": [(1, 1)]}, InvalidSetting, "of two cells at least"),
        ({"grids": [(8, 8)]}, InvalidSetting, "more cells than there are labelled images, 5"),
        ({"source": "nobody"}, DatasetError, "nobody"),
    ],
)
def test_mistakes_are_one_sentence(labelled, options, error, message):
    with pytest.raises(error, match=message):
        mosaic(labelled, **{"source": "truth", **options})
    assert len(labelled) == 6


def test_grids_as_people_write_them():
    assert parse_grids(["1x2", " 3 x 3 "]) == ((1, 2), (3, 3))
    for text in ("2", "2x", "0x2", "1x1", "99x99", "axb"):
        with pytest.raises(InvalidSetting, match="grids"):
            parse_grids([text])
