"""The evaluation in parts gives what FiftyOne's own gives, match by match and curve by curve."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

from diffucurate.plugin.comparison.fiftyone_coco import evaluate_as_coco

CLASSES = ("car", "bus", "tree")


@pytest.fixture
def crowded(dataset: fo.Dataset) -> fo.Dataset:
    """Random objects that overlap much, found roughly: with crowds, equal confidences, images without any, others."""
    rng = np.random.default_rng(3)

    def truth() -> fo.Detections:
        boxes = [[*rng.uniform(0, 0.3, 2), *rng.uniform(0.3, 0.6, 2)] for _ in range(rng.integers(0, 7))]
        return fo.Detections(
            detections=[
                fo.Detection(
                    label=str(rng.choice(CLASSES)),
                    bounding_box=box,
                    mask=rng.random((9, 9)) < 0.95,
                    iscrowd=bool(rng.random() < 0.2),
                )
                for box in boxes
            ]
        )

    def found(objects: fo.Detections) -> fo.Detections:
        boxes = [(each.label, np.array(each.bounding_box)) for each in objects.detections for _ in range(2)]
        boxes += [("van", np.array([0.1, 0.1, 0.5, 0.5]))]
        return fo.Detections(
            detections=[
                fo.Detection(
                    label=label if rng.random() < 0.8 else str(rng.choice(CLASSES)),
                    bounding_box=(box + rng.normal(0, 0.02, 4)).tolist(),
                    mask=rng.random((9, 9)) < 0.95,
                    confidence=round(float(rng.random()), 1),
                )
                for label, box in boxes
                if rng.random() < 0.7
            ]
        )

    objects = [truth() for _ in range(30)]
    dataset.add_samples(
        [fo.Sample(filepath=f"/{index}.png", truth=each, found=found(each)) for index, each in enumerate(objects)]
    )
    return dataset


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffucurate.plugin.store.samples._PART", 7)


@pytest.mark.parametrize("settings", [{}, {"use_masks": True}, {"classwise": False}, {"max_preds": 2}])
@pytest.mark.parametrize("ranked", [True, False])
def test_results_are_those_of_fiftyone(crowded: fo.Dataset, settings: dict[str, object], ranked: bool) -> None:
    settings = {"iou": 0.5, "classwise": True, "compute_mAP": ranked, **settings}
    theirs = crowded.evaluate_detections("found", gt_field="truth", eval_key="theirs", progress=False, **settings)
    ours = evaluate_as_coco(crowded.view(), "found", "truth", key="ours", **settings)
    if ranked:
        assert 0.05 < theirs.mAP() < 0.95
        for name in ("precision", "recall", "thresholds", "recall_sweep", "iou_threshs"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    for name in ("ytrue", "ypred", "ious", "confs", "ytrue_ids", "ypred_ids", "classes"):
        assert getattr(ours, name).tolist() == getattr(theirs, name).tolist(), name
    assert type(ours) is type(theirs)
    _assert_same_marks(crowded)


def test_of_a_view_with_filters_only_what_it_shows_is_evaluated(crowded: fo.Dataset) -> None:
    view = crowded.skip(4).filter_labels("found", F("confidence") > 0.3, only_matches=False)
    view = view.map_labels("found", {"van": "car"})
    theirs = view.evaluate_detections("found", gt_field="truth", eval_key="theirs", compute_mAP=True, progress=False)
    ours = evaluate_as_coco(view, "found", "truth", key="ours", iou=0.5, classwise=True, compute_mAP=True)
    assert ours.mAP() == theirs.mAP() and ours.ypred_ids.tolist() == theirs.ypred_ids.tolist()
    crowded.reload()
    assert "van" in crowded.distinct("found.detections.label")
    _assert_same_marks(crowded)


def test_what_is_stored_is_fiftyones_own(crowded: fo.Dataset) -> None:
    """So that the Model Evaluation panel, and a machine without this library, load it."""
    settings = {"iou": 0.5, "classwise": True, "compute_mAP": True}
    theirs = crowded.evaluate_detections("found", gt_field="truth", eval_key="theirs", progress=False, **settings)
    evaluate_as_coco(crowded.view(), "found", "truth", key="ours", **settings)
    infos = [crowded.get_evaluation_info(key).config.serialize() for key in ("ours", "theirs")]
    assert infos[0] == infos[1] and infos[0]["cls"] == "fiftyone.utils.eval.coco.COCOEvaluationConfig"
    crowded.clear_cache()
    stored = crowded.load_evaluation_results("ours", cache=False)
    assert (stored.mAP(), stored.mAR(), stored.metrics()) == (theirs.mAP(), theirs.mAR(), theirs.metrics())
    assert len(crowded.load_evaluation_view("ours")) == 30
    crowded.delete_evaluation("ours")
    assert not crowded.has_field("found.detections.ours_iou")


def _assert_same_marks(dataset: fo.Dataset) -> None:
    for field in ("truth", "found"):
        for part in ("", "_id", "_iou"):
            ours, theirs = (dataset.values(f"{field}.detections.{key}{part}") for key in ("ours", "theirs"))
            assert ours == theirs, (field, part)
    for part in ("tp", "fp", "fn"):
        assert dataset.values(f"ours_{part}") == dataset.values(f"theirs_{part}")
