"""Labels of several sources of a dataset become one source more."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.fusion.settings import FusionSettings
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.fusion.fuse import fuse
from diffucurate.plugin.labelling.label import label

SHAPE = (32, 64)
CLASSES = ("car", "bus")


def bars(*spans, confidence=0.8):
    """Labels of bars: (class, first column, one past the last)."""
    instances = []
    for name, left, right in spans:
        mask = np.zeros(SHAPE, np.bool_)
        mask[4:28, left:right] = True
        instances.append(Instance(name, mask, confidence))
    return Labels.from_instances(instances, CLASSES, SHAPE)


@pytest.fixture
def labelled(dataset, add_scenes):
    one = [bars(("car", 4, 24), ("bus", 40, 60)), bars(("car", 4, 24)), bars()]
    two = [bars(("car", 8, 24)), bars(("bus", 30, 40)), bars()]
    add_scenes([Scene(np.zeros((*SHAPE, 3), np.uint8), (), "", {}, 0)] * 3, one=one, two=two)
    return dataset


def test_fused_labels_are_a_source_like_any_other(labelled):
    result = fuse(labelled, ["one", "two"])
    assert (result.source, result.samples, result.skipped, result.instances) == ("fused", 3, 0, 4)
    assert dict(result.found_by) == {"one": 2, "one + two": 1, "two": 1} and result.left_open == 0
    labelled.reload()
    assert labelled.values("fused_instances.detections.label") == [["car", "bus"], ["car", "bus"], []]
    assert labelled.values("fused_instances.detections.found_by") == [[["one", "two"], ["one"]], [["one"], ["two"]], []]
    first = labelled.first()
    assert first.fused_instances.detections[0].bounding_box == pytest.approx([6 / 64, 4 / 32, 18 / 64, 24 / 32])
    assert first.fused_instances.detections[0].confidence == pytest.approx(16 / 17)
    semantic = first.fused_mask.get_mask()
    assert (semantic[10, 6:24] == 1).all() and (semantic[10, 40:60] == 2).all() and semantic[10, 30] == 0
    (run,) = labelled.list_runs(method="diffucurate/fuse")
    assert labelled.get_run_info(run).config.facts["instances"] == 4
    assert compare(labelled, "fused", "one").overall.matched == 3
    # Again, with other settings: the earlier labels are replaced.
    assert fuse(labelled, ["one", "two"], settings=FusionSettings(lone={"one": 0.1})).instances == 3
    assert labelled.values("fused_instances.detections.label") == [["car", "bus"], ["car"], []]


def test_what_a_person_has_corrected_stays(labelled):
    sample = labelled.first()
    sample.one_instances.detections[0].tags = ["human"]
    sample.one_instances.detections[0].label = "bus"
    sample.save()
    result = fuse(labelled[:1], ["one", "two"], into="final")
    assert dict(result.found_by) == {"human": 1, "one": 1}
    (found,) = labelled[:1].values("final_instances.detections.found_by")
    assert found == [["human"], ["one"]]
    box = labelled.first().final_instances.detections[0]
    assert (box.label, box.confidence) == ("bus", 1.0)
    assert box.bounding_box == pytest.approx([4 / 64, 4 / 32, 20 / 64, 24 / 32])
    assert labelled.last().final_instances is None  # not in the view


def test_a_source_that_was_not_asked_says_nothing_by_its_silence(labelled):
    class Detector:
        name = "three"

        def label(self, images):
            return [bars() for _ in images]

    label(labelled, source=Detector(), classes=["car"])
    fuse(labelled[:1], ["one", "three"])
    car, bus = labelled.first().fused_instances.detections
    assert (car.label, bus.label) == ("car", "bus")
    assert car.confidence == pytest.approx(1.6 / 2.6) and bus.confidence == pytest.approx(0.8)


def test_labels_that_no_class_can_be_called_change_nothing(labelled):
    labelled.set_values("two_instances.detections.label", [["../x"], ["bus"], []])
    with pytest.raises(InvalidSetting, match=r"classes: '\.\./x'"):
        fuse(labelled, ["one", "two"])
    assert not labelled.has_sample_field("fused_instances")


def test_instances_that_cannot_be_read_are_named(labelled):
    sample = labelled.first()
    sample.two_instances.detections[0].bounding_box = [float("nan"), 0, 1, 1]
    sample.save()
    result = fuse(labelled, ["one", "two"])
    (reason,) = result.left_out
    assert sample.filepath in reason and "two_instances" in reason and result.samples == 3


@pytest.mark.parametrize(
    ("sources", "options", "error", "message"),
    [
        (["one"], {}, InvalidSetting, "sources: .* - name at least two"),
        ("one", {}, InvalidSetting, "sources: 'one' - name at least two"),
        (["one", "one"], {}, InvalidSetting, "name each once"),
        (["one", "two"], {"into": "two"}, InvalidSetting, "into: 'two' - it is one of the sources"),
        (["one", "two"], {"into": "yolov8"}, InvalidSetting, "into: 'yolov8' - labels from elsewhere bear that name"),
        (["one", "two"], {"into": "human"}, InvalidSetting, "labels from elsewhere bear that name"),
        (["one", "two"], {"into": "three"}, InvalidSetting, "into: 'three' - the dataset has labels of that name"),
        (["one", "four"], {}, DatasetError, "has no field 'four_instances'"),
        (["one", "two"], {"settings": FusionSettings(lone={"x": 0.5})}, InvalidSetting, "lone: 'x' - it is none"),
        (["one", "two"], {"into": "not a name"}, DatasetError, "not a name"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(labelled, sources, options, error, message):
    labelled.clone_sample_field("one_instances", "three_instances")  # of somebody else
    before = set(labelled.get_field_schema())
    with pytest.raises(error, match=message):
        fuse(labelled, sources, **options)
    labelled.reload()
    assert set(labelled.get_field_schema()) == before


def test_corrections_survive_relabelling_and_fusing_again(labelled):
    class Detector:
        name = "one"

        def label(self, images):
            return [bars(("car", 6, 26), ("car", 44, 60)) for _ in images]

    sample = labelled.first()
    sample.one_instances.detections[0].tags = ["human"]
    sample.one_instances.detections[0].label = "bus"
    sample.save()
    for _ in range(2):  # the mark survives too
        label(labelled, source=Detector(), classes=["car"])
        labelled.reload()
        first = labelled.first().one_instances.detections
        assert [(each.label, each.tags) for each in first] == [("bus", ["human"]), ("car", [])]
        assert first[0].bounding_box == pytest.approx([4 / 64, 4 / 32, 20 / 64, 24 / 32])
    assert labelled.first().one_mask.get_mask()[10, 4] == 2
    assert labelled.values("one_instances.detections.label")[1] == ["car", "car"]
    fuse(labelled, ["one", "two"])
    assert labelled.first().fused_instances.detections[0].tags == ["human"]
