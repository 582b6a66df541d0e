"""The confusion matrix of two sources, counted by hand, for the comparison and for any view of it."""

from __future__ import annotations

import numpy as np
import pytest
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.statistics.confusion import confusion_ids, confusion_matrix, with_confusion
from diffucurate.plugin.store.matches import NOTHING, ConfusionMatrix

SHAPE = (32, 32)


def bars(*spans):
    """Labels of full-height bars: (class, first column, one past the last)."""
    instances = []
    for name, left, right in spans:
        mask = np.zeros(SHAPE, np.bool_)
        mask[:, left:right] = True
        instances.append(Instance(name, mask, 0.9))
    return Labels.from_instances(instances, ("car", "bus"), SHAPE)


@pytest.fixture
def labelled(dataset, add_scenes):
    one = [bars(("car", 0, 8), ("bus", 16, 24)), bars(("car", 0, 8)), bars(("car", 0, 8)), bars()]
    two = [bars(("car", 0, 8), ("car", 16, 23)), bars(), bars(("car", 0, 8), ("bus", 20, 28)), bars(("bus", 0, 8))]
    add_scenes([Scene(np.zeros((*SHAPE, 3), np.uint8), (), "", {}, 0)] * 4, one=one, two=two)
    return dataset


def test_every_instance_is_counted_once(labelled):
    result = compare(labelled, "one", "two").confusion
    assert result.names == ("car", "bus", NOTHING)
    # one's cars: two are cars of two's, one is alone; its bus is a car of two's; two's buses are alone.
    assert result.counts == ((2, 0, 1), (1, 0, 0), (0, 2, 0))
    labelled.reload()
    assert labelled.values("one_instances.detections.class_in_two") == [["car", "car"], [None], ["car"], []]
    assert labelled.values("two_instances.detections.class_in_one") == [["car", "bus"], [], ["car", None], [None]]
    (run,) = labelled.list_runs(method="diffucurate/compare")
    assert labelled.get_run_info(run).config.facts["confusion"]["counts"] == [[2, 0, 1], [1, 0, 0], [0, 2, 0]]
    assert compare(labelled, "one", "two", mark=False).confusion is None


def test_a_view_has_its_own_and_every_count_its_instances(labelled):
    whole = compare(labelled, "one", "two").confusion
    labelled.reload()
    assert confusion_matrix(labelled, "one", "two") == whole
    assert confusion_matrix(labelled[1:3], "one", "two").counts == ((1, 0, 1), (0, 0, 0), (0, 1, 0))
    no_cars = labelled.filter_labels("one_instances", F("label") != "car", only_matches=False)
    assert confusion_matrix(no_cars, "one", "two").counts == ((0, 0, 0), (1, 0, 0), (0, 2, 0))
    ids = labelled.values("id")
    for i, row in enumerate(whole.names):
        for j, column in enumerate(whole.names):
            view = with_confusion(labelled, "one", "two", row, column)
            sides = [view.count(f"{name}_instances.detections") for name in ("one", "two")]
            assert max(sides) == whole.counts[i][j], (row, column)
    assert confusion_ids(labelled, "one", "two", "bus", "car") == ids[:1]
    assert confusion_ids(labelled, "one", "two", "car", NOTHING) == [ids[1]]
    assert confusion_ids(labelled, "one", "two", NOTHING, "bus") == ids[2:]


def test_other_spellings_are_one_class(labelled):
    labelled.set_values("two_instances.detections.label", [["Car", "CAR"], [], ["Car", "Bus"], ["BUS"]])
    whole = compare(labelled, "one", "two").confusion
    labelled.reload()
    assert confusion_matrix(labelled, "one", "two") == whole
    assert whole.counts == ((2, 0, 1), (1, 0, 0), (0, 2, 0))
    assert len(confusion_ids(labelled, "one", "two", "bus", "car")) == 1


def test_what_was_added_later_is_not_counted_and_what_is_missing_is_said(labelled):
    with pytest.raises(DatasetError, match="'one' and 'two' were not compared with marks yet"):
        confusion_matrix(labelled, "one", "two")
    compare(labelled[:3], "one", "two")
    assert confusion_matrix(labelled, "one", "two").counts == ((2, 0, 1), (1, 0, 0), (0, 1, 0))


def test_order_of_classes():
    counted = {("b", "a"): 2, (None, "c"): 1, ("b", None): 3}
    assert ConfusionMatrix.of("x", "y", counted, ["c"]) == ConfusionMatrix(
        "x", "y", ("c", "a", "b"), ((0, 0, 0, 0), (0, 0, 0, 0), (0, 2, 0, 3), (1, 0, 0, 0))
    )
