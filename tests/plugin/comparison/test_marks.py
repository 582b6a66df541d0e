"""What a comparison leaves on instances: overlaps, matches, and tags for kinds of disagreement."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.comparison.marks import kinds_sentence

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
    one = [bars(("car", 0, 8), ("bus", 16, 24)), bars(("car", 0, 20)), bars(), bars(("bus", 0, 8))]
    two = [bars(("car", 0, 8), ("bus", 16, 22)), bars(("car", 0, 9), ("car", 11, 20)), bars(), bars(("car", 0, 8))]
    add_scenes([Scene(np.zeros((*SHAPE, 3), np.uint8), (), "", {}, 0)] * 4, one=one, two=two)
    return dataset


def test_overlaps_and_matches(labelled):
    compare(labelled, "one", "two")
    labelled.reload()
    assert labelled.values("one_instances.detections.iou_with_two") == [[1.0, 0.75], [0.0], [], [0.0]]
    assert labelled.values("two_instances.detections.iou_with_one") == [[1.0, 0.75], [0.0, 0.0], [], [0.0]]
    # The sidebar has a filter for each.
    assert labelled.has_sample_field("one_instances.detections.iou_with_two")
    assert labelled.has_sample_field("two_instances.detections.matched_one")
    assert labelled.values("one_instances.detections.matched_two") == [[True, True], [False], [], [False]]


def test_kinds_are_tags_that_a_comparison_replaces(labelled):
    labelled.tag_labels("mine", label_fields="one_instances")
    result = compare(labelled, "one", "two")
    assert dict(result.kinds) == {"wrong class": 2, "merged": 1, "split": 2}
    assert kinds_sentence(result.kinds) == "2 wrong class, 2 split, 1 merged"
    one, two = (labelled.values(f"{name}_instances.detections.tags") for name in ("one", "two"))
    assert one == [[["mine"], ["mine"]], [["mine", "merged (two)"]], [], [["mine", "wrong class (two)"]]]
    assert two == [[[], []], [["split (one)"], ["split (one)"]], [], [["wrong class (one)"]]]
    # What a click in the sidebar shows.
    assert labelled.match_labels(tags="merged (two)", fields="one_instances").values("id") == [labelled.values("id")[1]]

    only_last = compare(labelled[3:], "two", "one")
    assert dict(only_last.kinds) == {"wrong class": 2}
    view = labelled[1:2]
    view.set_values("two_instances.detections.label", [["bus", "bus"]])
    assert dict(compare(view, "one", "two").kinds) == {"extra": 1, "missed": 2}
    assert labelled.values("one_instances.detections.tags")[1] == [["mine", "extra (two)"]]
    assert labelled.values("one_instances.detections.tags")[3] == [["mine", "wrong class (two)"]]  # not in the view


def test_nothing_is_marked_unless_asked_for(labelled):
    assert not compare(labelled, "one", "two", mark=False).kinds
    assert labelled.values("one_instances.detections.tags") == [[[], []], [[]], [], [[]]]
    assert labelled.count("one_instances.detections.iou_with_two") == 0
