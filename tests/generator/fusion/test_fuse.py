"""Labels of several sources become one set, on masks small enough to check by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diffucurate.generator.errors import InvalidSetting, LabelError
from diffucurate.generator.fusion.fuse import fuse
from diffucurate.generator.fusion.outlines import most_likely, weighted
from diffucurate.generator.fusion.settings import FusionSettings
from diffucurate.generator.labels.model import Instance, Labels

CLASSES = ("car", "bus")
SHAPE = (24, 60)


def bar(label: str, left: int, right: int, confidence: float = 0.8) -> Instance:
    """Columns [left, right) of the rows from 4 to 20."""
    mask = np.zeros(SHAPE, np.bool_)
    mask[4:20, left:right] = True
    return Instance(label, mask, confidence)


def spans(fused: Labels) -> list[tuple[str, int, int, tuple[str, ...]]]:
    """(class, first column, one past the last, sources) of each instance, from left to right."""
    found = []
    for instance in fused.instances:
        left, _, right, _ = instance.box
        found.append((instance.label, left, right, instance.found_by))
    return sorted(found, key=lambda each: each[1])


def test_what_two_sources_see_is_one_object_between_both_outlines() -> None:
    fused = fuse({"a": [bar("car", 10, 30)], "b": [bar("car", 14, 30)]}, CLASSES, SHAPE)
    assert spans(fused) == [("car", 12, 30, ("a", "b"))]
    # Odds of 4 to 1 twice.
    assert fused.instances[0].confidence == pytest.approx(16 / 17)
    assert (fused.semantic[10] == np.r_[np.zeros(12), np.ones(18), np.zeros(30)]).all()


def test_the_more_certain_source_counts_more() -> None:
    fused = fuse({"a": [bar("car", 10, 30, 0.9)], "b": [bar("car", 14, 30, 0.3)]}, CLASSES, SHAPE)
    assert spans(fused) == [("car", 11, 30, ("a", "b"))]  # three quarters of the way to a


def test_lone_objects_by_who_has_them_and_how_certain() -> None:
    sources = {"a": [bar("car", 2, 12, 0.8)], "b": [bar("car", 20, 30, 0.6)]}
    # 4 to 1, times 0.4 as b has none: 1.6 to 1. And 1.5 times 0.4.
    first, second = 1.6 / 2.6, 0.6 / 1.6
    fused = fuse(sources, CLASSES, SHAPE)
    assert spans(fused) == [("car", 2, 12, ("a",))]
    assert fused.instances[0].confidence == pytest.approx(first)
    assert len(fuse(sources, CLASSES, SHAPE, FusionSettings(lone=second - 0.01)).instances) == 2
    assert spans(fuse(sources, CLASSES, SHAPE, FusionSettings(lone={"b": 0.1}))) == [("car", 20, 30, ("b",))]
    assert spans(fuse(sources, CLASSES, SHAPE, FusionSettings(lone=1.0))) == []
    # A source that was not asked for cars says nothing by having none.
    alone = fuse(sources, CLASSES, SHAPE, asked={"a": ["car"], "b": ["bus"]})
    assert alone.instances[0].confidence == pytest.approx(0.8)


def test_one_place_under_two_names() -> None:
    certain = fuse({"a": [bar("car", 10, 30, 0.95)], "b": [bar("bus", 10, 30, 0.8)]}, CLASSES, SHAPE)
    assert spans(certain) == [("car", 10, 30, ("a",))] and set(np.unique(certain.semantic)) == {0, 1}
    open_ = fuse({"a": [bar("car", 10, 30, 0.9)], "b": [bar("bus", 10, 32, 0.89)]}, CLASSES, SHAPE)
    assert spans(open_) == [] and (open_.semantic[10, 10:30] == 255).all()
    assert (open_.semantic[10, 30:] == 0).all()


def test_objects_that_only_touch_stay_and_what_they_share_is_left_open() -> None:
    fused = fuse({"a": [bar("car", 10, 30, 0.9), bar("bus", 26, 50, 0.9)]}, CLASSES, SHAPE)
    assert [span[:3] for span in spans(fused)] == [("car", 10, 30), ("bus", 26, 50)]
    row = fused.semantic[10]
    assert (row[26:30] == 255).all() and (row[10:26] == 1).all() and (row[30:50] == 2).all()


def test_what_a_person_drew_stays_and_the_rest_gives_way() -> None:
    human = [bar("bus", 10, 30, 1.0)]
    machine = [bar("car", 10, 31, 0.99), bar("car", 28, 48, 0.9)]
    fused = fuse({"a": machine, "b": machine, "human": human}, CLASSES, SHAPE)
    assert spans(fused) == [("bus", 10, 30, ("human",)), ("car", 30, 48, ("a", "b"))]
    assert (fused.semantic[10, 10:30] == 2).all() and (fused.semantic[10, 30:48] == 1).all()


def test_what_a_person_has_confirmed_is_certain_and_gives_way_to_what_a_person_drew() -> None:
    human, machine = [bar("bus", 0, 10, 1.0)], [bar("car", 11, 30, 0.99), bar("car", 28, 48, 0.9)]
    confirmed = {"a": [bar("bus", 10, 30, 1.0), bar("car", 1, 10, 1.0)], "b": [bar("bus", 8, 30, 1.0)]}
    fused = fuse({"b": machine, "human": human}, CLASSES, SHAPE, confirmed=confirmed)
    assert spans(fused) == [("bus", 0, 10, ("human",)), ("bus", 10, 30, ("a", "b")), ("car", 30, 48, ("b",))]
    assert [each.confidence for each in fused.instances][:2] == [1.0, 1.0]
    assert (fused.semantic[10, :30] == 2).all() and (fused.semantic[10, 30:48] == 1).all()


def test_instances_are_matched_one_to_one_for_the_greatest_overlap_in_all() -> None:
    sources = {"a": [bar("car", 0, 10), bar("car", 12, 22)], "b": [bar("car", 11, 22), bar("car", 0, 11)]}
    assert [span[3] for span in spans(fuse(sources, CLASSES, SHAPE))] == [("a", "b"), ("a", "b")]
    both = fuse({"a": [bar("car", 0, 20)], "b": [bar("car", 0, 12), bar("car", 8, 20)]}, CLASSES, SHAPE)
    assert spans(both) == [("car", 0, 16, ("a", "b"))]  # most of b's other half lies in it
    three = fuse({name: [bar("car", 5, 15 + k)] for k, name in enumerate("abc")}, CLASSES, SHAPE)
    assert spans(three) == [("car", 5, 16, ("a", "b", "c"))]
    assert three.instances[0].confidence == pytest.approx(64 / 65)


def test_em_trusts_the_sources_that_agree() -> None:
    right, noise = bar("car", 10, 30).mask, np.random.default_rng(0)
    wrong = right.copy()
    wrong[4:20, 10:16] = False  # a source that misses a part, and marks too much elsewhere
    wrong[20:24, 20:30] = True
    slips = right ^ (noise.random(SHAPE) < 0.02)
    found = most_likely([right, slips, wrong])
    errors = [(mask ^ right).sum() for mask in (found, slips, wrong)]
    assert errors[0] * 5 < min(errors[1:])
    assert np.array_equal(most_likely([right, wrong]), right & wrong)
    assert np.array_equal(most_likely([right]), right)
    sources = {"a": [bar("car", 10, 30)], "b": [bar("car", 14, 34)]}
    assert spans(fuse(sources, CLASSES, SHAPE, FusionSettings(method="em"))) == [("car", 14, 30, ("a", "b"))]


def test_the_mean_outline_is_that_of_the_signed_distances() -> None:
    near, far = (np.hypot(*np.mgrid[-12:12, -30:30]) < radius for radius in (6, 10))
    mean = weighted([near, far], [1, 1])
    radius = [math.sqrt(mask.sum() / math.pi) for mask in (near, mean, far)]
    assert radius[1] == pytest.approx((radius[0] + radius[2]) / 2, abs=0.25)
    assert np.array_equal(weighted([near], [0.3]), near)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"iou": 0}, "iou: 0"), ({"lone": {"a": 2}}, "lone"), ({"method": "vote"}, "method: 'vote'")],
)
def test_settings_are_checked(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        FusionSettings(**values)


def test_instances_of_other_sizes_and_classes_are_refused() -> None:
    with pytest.raises(LabelError, match=r"'a' has an instance of 'tree', \(24, 60\)"):
        fuse({"a": [bar("tree", 1, 5)]}, CLASSES, SHAPE)
    with pytest.raises(LabelError, match=r"expected \(10, 10\) and one of car, bus"):
        fuse({"a": [bar("car", 1, 5)]}, CLASSES, (10, 10))
    empty = fuse({"a": [], "b": []}, CLASSES, SHAPE)
    assert empty.instances == () and not empty.semantic.any()
