from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.labelling.label import label

SHAPE = (32, 32)
CLASSES = ("car", "bus")


def bars(*spans: tuple[str, int, int], confidence: float = 0.9) -> Labels:
    """Labels of full-height bars: (class, first column, one past the last)."""
    instances = []
    for name, left, right in spans:
        mask = np.zeros(SHAPE, np.bool_)
        mask[:, left:right] = True
        instances.append(Instance(name, mask, confidence))
    return Labels.from_instances(instances, CLASSES, SHAPE)


@pytest.fixture
def add_bars(add_scenes):
    def add(**sources):
        count = len(next(iter(sources.values())))
        blank = Scene(np.zeros((*SHAPE, 3), np.uint8), (), "", {}, 0)
        add_scenes([blank] * count, **sources)

    return add


def test_counts_ious_and_agreement_are_what_the_masks_say(dataset, add_bars):
    add_bars(
        one=[
            bars(("car", 0, 8), ("bus", 16, 24)),
            bars(("car", 0, 8)),  # the other class: no match
            bars(),
            bars(("car", 0, 8), ("car", 16, 24)),
            bars(("car", 0, 8)),
        ],
        two=[
            bars(("car", 0, 8), ("bus", 16, 22)),  # IoU 1 and 3/4
            bars(("bus", 0, 8)),
            bars(),  # both see nothing
            bars(("car", 2, 8)),  # IoU 3/4, and one car unseen
            bars(("car", 5, 13)),  # IoU 3/13: no match at 0.5
        ],
    )
    result = compare(dataset, "one", "two")
    assert dataset.values("agreement_one_two") == pytest.approx([0.875, 0.0, 1.0, 0.375, 0.0])
    assert result.agreement == pytest.approx(np.mean([0.875, 0.0, 1.0, 0.375, 0.0]))
    rows = {row["label"]: row for row in result.table()}
    assert list(rows) == ["car", "bus", "all"]  # in the order of the class ids
    assert [rows["car"][key] for key in ("matched", "only_a", "only_b")] == [2, 3, 1]
    assert [rows["bus"][key] for key in ("matched", "only_a", "only_b")] == [1, 0, 1]
    assert [rows["all"][key] for key in ("matched", "only_a", "only_b")] == [3, 3, 2]
    assert rows["car"]["mean_iou"] == pytest.approx(0.875)
    assert rows["all"]["mean_iou"] == pytest.approx((1 + 0.75 + 0.75) / 3)
    assert 0 < rows["bus"]["ap"] < 1
    assert (result.samples, result.skipped) == (5, 0)
    stored = dataset.load_evaluation_results(result.eval_key)
    assert stored.mAP() == pytest.approx(result.overall.ap)
    assert dataset.values(f"{result.eval_key}_tp") == [2, 0, 0, 1, 0]


def test_lower_threshold_finds_the_loose_match(dataset, add_bars):
    add_bars(one=[bars(("car", 0, 8))], two=[bars(("car", 5, 13))])
    assert compare(dataset, "one", "two", iou=0.2).overall.matched == 1
    assert dataset.values("agreement_one_two") == pytest.approx([3 / 13])


def test_repeated_comparison_replaces_the_earlier_one(dataset, add_bars):
    add_bars(one=[bars(("car", 0, 8))] * 2, two=[bars(("car", 0, 8)), bars()])
    first = compare(dataset, "one", "two")
    assert first.overall.only_a == 1
    sample = dataset.last()
    sample["two_instances"] = dataset.first().two_instances.copy()
    sample.save()
    second = compare(dataset, "one", "two")
    assert second.overall.matched == 2
    assert second.overall.only_a == 0
    assert dataset.list_evaluations() == [first.eval_key]
    assert dataset.values("agreement_one_two") == [1.0, 1.0]


def test_both_directions_are_kept_apart(dataset, add_bars):
    add_bars(one=[bars(("car", 0, 8))], two=[bars()])
    forth, back = compare(dataset, "one", "two"), compare(dataset, "two", "one")
    assert forth.eval_key != back.eval_key
    assert (forth.overall.only_a, back.overall.only_b) == (1, 1)


def test_view_leaves_the_rest_alone_and_its_filters_count(dataset, add_bars):
    add_bars(one=[bars(("car", 0, 8), ("bus", 16, 24))] * 2, two=[bars(("car", 0, 8))] * 2)
    view = dataset.limit(1).filter_labels("one_instances", fo.ViewField("label") == "car")
    result = compare(view, "one", "two")
    assert (result.samples, result.overall.matched, result.overall.only_a) == (1, 1, 0)
    assert dataset.values("agreement_one_two") == [1.0, None]
    assert dataset.count("one_instances.detections") == 4


def test_only_instances_of_the_named_classes_count(dataset, add_bars):
    add_bars(
        one=[bars(("car", 0, 8), ("bus", 16, 24)), bars(("bus", 0, 8)), bars(("bus", 0, 8))],
        two=[bars(("car", 0, 6), ("bus", 8, 16)), bars(("car", 0, 8)), bars(("bus", 0, 8))],
    )
    result = compare(dataset, "one", "two", classes=["car"])
    (row,) = result.classes
    assert (row.label, row.matched, row.only_a, row.only_b) == ("car", 1, 0, 1)
    # Where neither has a car they agree, whatever else they see.
    assert dataset.values("agreement_one_two") == pytest.approx([0.75, 0.0, 1.0])
    assert (result.samples, dataset.count("one_instances.detections")) == (3, 4)
    key = next(key for key in dataset.list_runs() if "compare" in key)
    assert dataset.get_run_info(key).config.settings["classes"] == ["car"]
    for classes, message in (
        (["car", "lorry"], "'lorry' - .* there are car, bus"),
        ([1], "no such class"),
        ([], "a list"),
        ("car", "a list"),
    ):
        with pytest.raises(InvalidSetting, match=f"classes: .*{message}"):
            compare(dataset, "one", "two", classes=classes)


def test_names_that_are_spelled_in_different_ways_are_one_class(dataset, add_bars):
    """``traffic light`` and ``Traffic_Light``; what the dataset holds stays as it is spelled."""
    add_bars(one=[bars(("car", 0, 8), ("bus", 16, 24))] * 2, two=[bars(("car", 0, 8), ("bus", 16, 24))] * 2)
    dataset.set_values("one_instances.detections.label", [["traffic light", "bus"]] * 2)
    dataset.set_values("two_instances.detections.label", [["Traffic_Light", "BUS"]] * 2)
    result = compare(dataset, "one", "two")
    assert {row["label"]: (row["matched"], row["only_a"], row["only_b"]) for row in result.table()} == {
        "bus": (2, 0, 0), "traffic light": (2, 0, 0), "all": (4, 0, 0),
    }  # fmt: skip
    assert result.agreement == 1.0 and dataset.values("agreement_one_two") == [1.0, 1.0]
    dataset.reload()
    assert dataset.values("one_instances.detections.label") == [["traffic light", "bus"]] * 2
    assert dataset.values("two_instances.detections.label") == [["Traffic_Light", "BUS"]] * 2
    assert dataset.values(f"two_instances.detections.{result.eval_key}") == [["tp", "tp"]] * 2
    assert compare(dataset, "one", "two", classes=["traffic-light"]).overall.matched == 2


def test_classes_that_a_source_has_none_of_are_no_disagreement(dataset, add_bars):
    add_bars(one=[bars(("car", 0, 8), ("bus", 16, 24))] * 2)

    class Detector:
        name = "two"
        unseen = ("bus",)

        def label(self, images):
            return [bars(("car", 0, 8)) for _ in images]

    label(dataset, source=Detector(), classes=["car", "bus"])
    result = compare(dataset, "one", "two")
    assert dict(result.unseen) == {"two": ("bus",)} and result.to_dict()["unseen"] == {"two": ("bus",)}
    assert [(row.label, row.matched, row.only_a) for row in (*result.classes, result.overall)] == [
        ("car", 2, 0),
        ("all", 2, 0),
    ]
    assert result.agreement == 1.0
    Detector.unseen = ()
    label(dataset, source=Detector(), classes=["car", "bus"])  # by another model, say, which knows buses
    result = compare(dataset, "one", "two")
    assert (result.overall.matched, result.overall.only_a, result.agreement) == (2, 2, 0.5) and not result.unseen


def test_classes_that_a_source_was_not_asked_for_are_no_disagreement(dataset, add_bars):
    add_bars(one=[bars(("car", 0, 8), ("bus", 16, 24))] * 2)

    class Detector:
        name = "two"

        def label(self, images):
            return [bars(("car", 0, 8)) for _ in images]

    label(dataset, source=Detector(), classes=["car"])
    result = compare(dataset, "one", "two")
    assert dict(result.unseen) == {"two": ("bus",)} and result.agreement == 1.0
    assert dict(compare(dataset, "two", "one").unseen) == {"two": ("bus",)}
    label(dataset[:1], source=Detector(), classes=["car", "bus"])  # now it was asked, and found none
    result = compare(dataset, "one", "two")
    assert not result.unseen and result.overall.only_a == 2


def test_samples_without_one_source_are_skipped(dataset, add_bars):
    add_bars(one=[bars(("car", 0, 8))] * 3, two=[bars(("car", 0, 8)), None, None])
    result = compare(dataset, "one", "two")
    assert (result.samples, result.skipped) == (1, 2)
    assert dataset.values("agreement_one_two") == [1.0, None, None]


def test_ground_truth_without_confidence_has_no_average_precision(dataset, add_bars):
    add_bars(truth=[bars(("car", 0, 8))], two=[bars(("car", 0, 8))])
    dataset.set_values("truth_instances.detections.confidence", [[None]])
    assert compare(dataset, "truth", "two").overall.ap is None
    assert compare(dataset, "two", "truth").overall.ap == pytest.approx(1.0)


def boxes(*spans: tuple[str, float, float]) -> fo.Detections:
    """Full-height boxes without masks or confidence: (class, left, right) as shares of the width."""
    found = [fo.Detection(label=name, bounding_box=[left, 0, right - left, 1]) for name, left, right in spans]
    return fo.Detections(detections=found)


def test_fields_of_others_are_matched_by_boxes_where_they_lack_masks(dataset, add_bars):
    add_bars(one=[bars(("car", 0, 8), ("bus", 16, 24)), bars(("car", 0, 8))])
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    dataset.set_values("ground_truth", [boxes(("car", 0, 0.25), ("boat", 0.5, 0.75)), boxes(("car", 0, 0.1875))])
    result = compare(dataset, "one", "ground_truth")
    assert (result.matched_by, result.without_masks) == ("boxes", ("ground_truth",))
    assert result.to_dict()["matched_by"] == "boxes"
    assert dataset.values("agreement_one_ground_truth") == pytest.approx([0.5, 0.75])
    rows = {row["label"]: row for row in result.table()}
    assert list(rows) == ["car", "bus", "boat", "all"]  # what the dataset does not know comes last
    assert [rows["all"][key] for key in ("matched", "only_a", "only_b")] == [2, 1, 1]
    assert result.overall.ap is not None
    assert compare(dataset, "ground_truth", "one").overall.ap is None
    assert [group.name for group in dataset.app_config.sidebar_groups if "agreement_one_ground_truth" in group.paths]


def test_masks_count_where_both_have_them(dataset, add_bars):
    slanted = np.tril(np.ones(SHAPE, np.bool_))
    half = Labels.from_instances([Instance("car", slanted, 0.9)], CLASSES, SHAPE)
    other = Labels.from_instances([Instance("car", slanted[::-1], 0.9)], CLASSES, SHAPE)
    add_bars(one=[half], two=[other])
    result = compare(dataset, "one", "two_instances", iou=0.2)  # a source's field goes by its own name as well
    assert result.matched_by == "masks"
    assert result.overall.mean_iou == pytest.approx((slanted & slanted[::-1]).sum() / (slanted | slanted[::-1]).sum())


def test_nothing_anywhere_agrees(dataset, add_bars):
    add_bars(one=[bars()], two=[bars()])
    result = compare(dataset, "one", "two")
    assert (result.agreement, result.overall.matched, result.overall.ap, result.classes) == (1.0, 0, None, ())


def test_bad_input_is_named(dataset, add_bars):
    with pytest.raises(DatasetError, match="no samples"):
        compare(dataset, "one", "two")
    add_bars(one=[bars(("car", 0, 8)), None], two=[None, bars()])
    with pytest.raises(DatasetError, match=r"no field 'three_instances'.*first"):
        compare(dataset, "one", "three")
    with pytest.raises(DatasetError, match="no sample has labels of both"):
        compare(dataset, "one", "two")
    for same in ("one", "one_instances"):
        with pytest.raises(InvalidSetting, match="labels other than"):
            compare(dataset, "one", same)
    with pytest.raises(InvalidSetting, match="iou"):
        compare(dataset, "one", "two", iou=0)
    with pytest.raises(DatasetError, match="label source"):
        compare(dataset, "one two", "one")
    assert dataset.list_evaluations() == []
    assert dataset.list_runs() == []


def test_comparison_is_recorded(dataset, add_bars):
    add_bars(one=[bars(("car", 0, 8))], two=[bars()])
    result = compare(dataset, "one", "two")
    (key,) = dataset.list_runs()
    config = dataset.get_run_info(key).config
    assert (config.status, config.settings["a"]) == ("done", "one")
    assert config.facts["eval_key"] == result.eval_key


_BAD = {
    "empty mask": {"mask": np.zeros((4, 4), np.bool_)},
    "no pixels": {"mask": np.zeros((0, 0), np.bool_)},
    "one dimension": {"mask": np.ones(4, np.bool_)},
    "three dimensions": {"mask": np.ones((4, 4, 3), np.bool_)},
    "no mask file": {"mask": None, "mask_path": "/nowhere/mask.png"},
    "box of NaN": {"bounding_box": [float("nan"), 0, 0.5, 1]},
    "infinite box": {"bounding_box": [0, 0, float("inf"), 1]},
    "box of three": {"bounding_box": [0, 0, 0.5]},
    "negative size": {"bounding_box": [0.5, 0, -0.25, 1]},
    "no label": {"label": None},
    "outside": {"bounding_box": [1.5, 0, 0.5, 1]},
}


@pytest.mark.parametrize("values", _BAD.values(), ids=_BAD)
def test_an_instance_that_cannot_be_read_is_left_out_or_unmatched(dataset, add_bars, values):
    """The labels beside it are compared as if it were not there, and every number is one."""
    add_bars(one=[bars(("car", 0, 8)), bars(("car", 0, 8))], two=[bars(("car", 0, 8)), bars(("car", 2, 8))])
    sample = dataset.first()
    bad = {"label": "car", "bounding_box": [0.5, 0, 0.25, 1], "mask": np.ones((4, 4), np.bool_), "confidence": 0.5}
    for field in ("one_instances", "two_instances"):
        sample[field].detections.append(fo.Detection(**{**bad, **values}))
    sample.save()
    result = compare(dataset, "one", "two")
    (car,) = result.classes
    assert car.matched >= 2 and car.mean_iou is not None and 0.8 < car.mean_iou <= 1
    assert np.isfinite(result.agreement) and 0 < result.agreement <= 1
    if result.left_out:
        assert (car.matched, car.only_a, car.only_b) == (2, 0, 0) and car.mean_iou == pytest.approx(0.875)
        assert len(result.left_out) == 2 and all(sample.filepath in reason for reason in result.left_out)
