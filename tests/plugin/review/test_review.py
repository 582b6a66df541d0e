"""The review queue: in which order it asks, what a decision writes, and that every decision can be taken back."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.curation.curate import curate
from diffucurate.plugin.fusion.fuse import fuse
from diffucurate.plugin.review.review import continued_review, review

SHAPE = (32, 64)
CLASSES = ("car", "bus")


def bars(*spans: tuple[str, int, int, float]) -> Labels:
    """Labels of bars: (class, first column, one past the last, confidence)."""
    instances = []
    for name, left, right, confidence in spans:
        mask = np.zeros(SHAPE, np.bool_)
        mask[4:28, left:right] = True
        instances.append(Instance(name, mask, confidence))
    return Labels.from_instances(instances, CLASSES, SHAPE)


def fill_dataset(dataset, folder, fill):
    """Three images: a car that both have (IoU 0.8) and one's bus where two has a car; a car of one alone; nothing."""
    one = [bars(("car", 4, 24, 0.9), ("bus", 40, 60, 0.6)), bars(("car", 4, 24, 0.3)), bars()]
    two = [bars(("car", 8, 24, 0.8), ("car", 40, 60, 0.7)), bars(), bars()]
    fill(dataset, folder, [Scene(np.zeros((*SHAPE, 3), np.uint8), (), "", {}, 0)] * 3, one=one, two=two)
    compare(dataset, "one", "two")
    return dataset


@pytest.fixture(scope="module")
def compared_once(tmp_path_factory, fill):
    dataset = fill_dataset(fo.Dataset(), tmp_path_factory.mktemp("review"), fill)
    yield dataset
    dataset.delete()


@pytest.fixture
def labelled(compared_once):
    copy = compared_once.clone()
    yield copy
    copy.delete()


def tags(dataset: fo.Dataset, field: str) -> list[list[list[str]]]:
    """By image and label, the tags of decisions; those of the comparison are left out."""
    dataset.reload()
    decided = {"accepted", "rejected", "fix later"}
    return [[[tag for tag in each if tag in decided] for each in image] for image in dataset.values(field)]


def labels_asked(queue) -> list[tuple[str, bool, bool]]:
    """(class, whether one has it, whether two has it) of all that is left, in order."""
    asked = []
    while (item := queue.next()) is not None:
        asked.append((item.label, item.a is not None, item.b is not None))
        queue.decide("later")
    return asked


@pytest.mark.parametrize(
    ("by", "asked"),
    [
        # The second image has agreement 0, the first 1 of 3 objects at 0.8.
        (None, [("car", True, False), ("car", True, True), ("bus", True, True)]),
        ("confidence", [("car", True, False), ("bus", True, True), ("car", True, True)]),
        ("iou", [("bus", True, True), ("car", True, False), ("car", True, True)]),
        ("wrong class", [("bus", True, True)]),
        ("extra", [("car", True, False)]),
        ("-area", [("car", True, True), ("bus", True, True), ("car", True, False)]),  # all 20 wide: the view's order
    ],
)
def test_the_worst_comes_first(labelled, by, asked):
    assert labels_asked(review(labelled, "one", "two", by=by)) == asked


@pytest.mark.parametrize(
    ("decision", "one", "two"),
    [
        ("a", "accepted", "rejected"),
        ("b", "rejected", "accepted"),
        ("both", "accepted", "accepted"),
        ("neither", "rejected", "rejected"),
        ("later", "fix later", "fix later"),
    ],
)
def test_a_decision_is_a_tag_on_what_both_have_there(labelled, decision, one, two):
    queue = review(labelled, "one", "two", by="confidence")
    queue.skip()
    before = labelled.values("one_instances.detections.tags"), labelled.values("two_instances.detections.tags")
    queue.decide(decision)
    assert tags(labelled, "one_instances.detections.tags") == [[[], [one]], [[]], []]
    assert tags(labelled, "one_polygons.polylines.tags") == [[[], [one]], [[]], []]
    assert tags(labelled, "two_instances.detections.tags") == [[[], [two]], [], []]
    assert queue.back().label == "bus" == queue.next().label
    labelled.reload()
    assert before == (
        labelled.values("one_instances.detections.tags"),
        labelled.values("two_instances.detections.tags"),
    )


def test_it_goes_on_where_it_stopped_and_takes_back_what_an_earlier_session_decided(labelled):
    queue = review(labelled, "one", "two")
    queue.decide("both")
    queue.decide("a")
    labelled.reload()
    again = review(labelled, "one", "two")
    assert again.run_key == queue.run_key
    assert (dict(again.counts.decided), again.counts.before, again.counts.left) == ({"both": 1, "a": 1}, 0, 1)
    assert again.counts.total == 3 and again.next().label == "bus"
    assert again.back().label == "car" and again.counts.left == 2
    again.decide("neither")
    assert again.decide("later") is None and again.next() is None
    labelled.reload()
    config = labelled.get_run_info(again.run_key).config
    assert (config.method, config.status) == ("diffucurate/review", "done")
    assert config.facts["counts"] == {"both": 1, "neither": 1, "later": 1}
    with pytest.raises(DatasetError, match="nothing is left"):
        again.decide("a")
    # Another review asks nothing of what was decided, and counts it.
    other = review(labelled, "one", by="confidence")
    assert other.next() is None and other.counts.before == 3 and other.back() is None
    assert continued_review(labelled, again.settings).undo_all() == 3
    assert not any(each for image in tags(labelled, "one_instances.detections.tags") for each in image)


def test_one_source_alone_is_right_or_wrong(labelled):
    queue = review(labelled, "one")
    assert queue.decisions == ("a", "neither", "later")
    assert [queue.next().score, queue.decide("neither").score, queue.decide("a").score] == [0.3, 0.6, 0.9]
    assert tags(labelled, "one_instances.detections.tags") == [[[], ["accepted"]], [["rejected"]], []]
    with pytest.raises(InvalidSetting, match="decision: 'b' - use one of a, neither, later"):
        queue.decide("b")


def test_whole_images_are_decided_by_sample_tags(labelled):
    queue = review(labelled, "one", "two", of="images")
    assert [queue.counts.left, queue.next().sample_id] == [3, labelled.values("id")[1]]
    queue.decide("b")
    queue.decide("later")
    labelled.reload()
    assert labelled.values("tags") == [["fix later"], ["rejected (one)", "accepted (two)"], []]
    # Its objects are decided with it.
    assert review(labelled, "one", "two").counts.left == 0
    assert curate(labelled, source="one", reviewed="not rejected").values("id") == labelled.values("id")[:1]
    queue.back()
    queue.back()
    labelled.reload()
    assert labelled.values("tags") == [["curated"], [], []]


def test_what_a_person_drew_is_not_asked(labelled):
    sample = labelled.first()
    sample.one_instances.detections[0].tags = ["human"]
    sample.one_instances.detections[1].tags.append("mine")
    sample.save()
    queue = review(labelled, "one")
    assert [queue.next().score, queue.counts.before] == [0.3, 1]
    queue.skip()
    queue.decide("a")
    assert "mine" in labelled.first().one_instances.detections[1].tags


def test_a_view_is_all_that_is_asked(labelled):
    view = labelled.filter_labels("one_instances", fo.ViewField("confidence") < 0.7)
    queue = review(view, "one")
    assert queue.counts.left == 2
    queue.decide("a")
    assert continued_review(labelled, queue.settings).counts.left == 1
    assert review(labelled, "one").counts.decided == {}  # another review, which finds that decided before


def test_labels_that_were_made_again_are_left_out(labelled):
    queue = review(labelled, "one")
    sample = labelled[queue.next().sample_id]
    sample.one_instances = fo.Detections()
    sample.save()
    with pytest.raises(DatasetError, match="were made again"):
        queue.decide("a")
    assert queue.next().score == 0.6 and not queue.counts.decided


def test_what_was_decided_feeds_curate(labelled):
    queue = review(labelled, "one")  # the lone car, the bus, the other car
    queue.decide("neither")
    queue.decide("a")
    labelled.set_values("tags", [None, [], []])  # as FiftyOne leaves it where somebody saves a sample without tags
    accepted = curate(labelled, source="one", reviewed="accepted")
    assert accepted.values("one_instances.detections.label") == [["bus"]]
    assert accepted.values("one_polygons.polylines.label") == [["bus"]]
    kept = curate(labelled, source="one", reviewed="not rejected", save_as="rest")
    assert kept.values("one_instances.detections.label") == [["car", "bus"]]
    with pytest.raises(InvalidSetting, match="reviewed"):
        curate(labelled, source="one", reviewed="yes")


def test_a_decision_wins_in_fusion(labelled):
    whole = dict(fuse(labelled, ["one", "two"], into="plain").found_by)
    assert whole == {"one + two": 1, "two": 1}  # of bus and car the surer one, the lone car is too unsure
    queue = review(labelled, "one", "two", by="confidence")
    queue.decide("a")  # the lone car
    queue.decide("a")  # a bus, not a car
    queue.decide("a")  # the car's outline by one
    result = fuse(labelled, ["one", "two"])
    assert dict(result.found_by) == {"one": 3}
    car, bus = labelled.first().fused_instances.detections
    assert (car.label, bus.label, car.confidence, bus.confidence) == ("car", "bus", 1.0, 1.0)
    assert car.bounding_box == pytest.approx([4 / 64, 4 / 32, 20 / 64, 24 / 32]) and car.tags == []
    queue.undo_all()
    assert dict(fuse(labelled, ["one", "two"]).found_by) == whole


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("one", "one"), {}, InvalidSetting, "b: 'one' - name a source other than the first"),
        (("one", "three"), {}, DatasetError, "has no field 'three_instances'"),
        (("one",), {"by": "iou"}, InvalidSetting, "by: 'iou' - that takes two compared sources"),
        (("one", "two"), {"by": "mood"}, InvalidSetting, "by: 'mood' - use one of agreement, confidence, iou"),
        (("one",), {"of": "pixels"}, InvalidSetting, "of: 'pixels' - use 'objects' or 'images'"),
    ],
)
def test_mistakes_are_one_sentence(labelled, arguments, options, error, message):
    with pytest.raises(error, match=message):
        review(labelled, *arguments, **options)


def test_sources_have_to_be_compared(labelled):
    labelled.delete_run(labelled.list_runs(method="diffucurate/compare")[0])
    with pytest.raises(DatasetError, match="'one' and 'two' were not compared yet"):
        review(labelled, "one", "two")
