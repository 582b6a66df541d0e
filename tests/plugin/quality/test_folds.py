"""Noise learning: each image is predicted by a segmenter that has not seen it."""

from __future__ import annotations

from types import SimpleNamespace

import fiftyone as fo
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.models.built_in import yolo_path
from diffucurate.generator.segmenters.settings import SegmenterSettings
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.quality import folds
from diffucurate.plugin.quality.assess import assess


@pytest.fixture
def labelled(dataset, add_scenes, scenes):
    """Six scenes with their exact labels as the source "truth", the last two painted from the first."""
    exact = [
        Labels.from_instances([Instance(one.label, one.mask, 1.0) for one in scene.objects], CLASSES, (128, 128))
        for scene in scenes
    ]
    add_scenes(scenes, truth=exact)
    ids = dataset.values("id")
    dataset.add_sample_field("source_id", fo.StringField)
    dataset.set_values("source_id", {ids[4]: ids[0], ids[5]: ids[0]}, key_field="id")
    return dataset


def test_no_segmenter_labels_what_it_learned_from_or_what_was_painted_from_that(labelled, monkeypatch) -> None:
    learned, predicted = [], []

    def train(samples, source, *, name, overwrite, device, progress, epochs):
        assert (source, overwrite, epochs) == ("truth", True, 3)
        learned.append(set(samples.values("id")))
        return SimpleNamespace(weights=f"{name}.pt")

    def label(samples, *, source, weights, into, device, progress):
        assert (source, into) == ("yolov8", "truth_unseen") and "fold-" in weights
        predicted.append(set(samples.values("id")))

    monkeypatch.setattr(folds, "train_segmenter", train)
    monkeypatch.setattr(folds, "label", label)
    ids = labelled.values("id")
    settings = SegmenterSettings(epochs=3)
    folds.predict_unseen(labelled, labelled, ("truth", "truth_instances"), 3, settings, None, None)
    assert sorted(each for part in predicted for each in part) == sorted(ids)
    assert all(part | others == set(ids) and not part & others for part, others in zip(predicted, learned, strict=True))
    assert any({ids[0], ids[4], ids[5]} <= part for part in predicted)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"folds": 1}, InvalidSetting, "folds: 1 - use at least 2"),
        ({"folds": 6}, DatasetError, "too few for 6 folds"),
        ({"folds": 2, "against": "truth"}, InvalidSetting, "folds make the second source"),
        ({"folds": 2, "source": None}, InvalidSetting, "name the labels that the segmenters learn from"),
    ],
)
def test_what_cannot_be_is_named(labelled, options, error, message) -> None:
    with pytest.raises(error, match=message):
        assess(labelled, **{"source": "truth", "checks": ["noise"], **options})


@pytest.mark.slow
def test_labels_are_ranked_by_segmenters_of_other_images(labelled, monkeypatch, tmp_path) -> None:
    pytest.importorskip("ultralytics")
    monkeypatch.setenv("DIFFUCURATE_SEGMENTERS_DIR", str(tmp_path))
    labelled.set_values("source_id", [None] * 6)
    training = SegmenterSettings(start=str(yolo_path()), epochs=1, batch_size=4, learning_rate=1e-6, val=0.34)
    assess(labelled, source="truth", checks=["noise"], folds=2, training=training, device="cpu")
    labelled.reload()
    found = labelled.values("noise_iou_truth_truth_unseen")
    assert min(found) >= 0 and sum(found) / 6 > 0.3
    assert max(labelled.values("noise_rank_truth_truth_unseen")) == 1
