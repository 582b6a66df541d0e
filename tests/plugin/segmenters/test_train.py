"""Training a segmenter on the labels of a dataset, and having it label."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from diffucurate.generator.errors import DatasetError, ExportError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.models.built_in import yolo_path
from diffucurate.generator.progress import Progress
from diffucurate.generator.segmenters.files import SegmenterFiles
from diffucurate.generator.sources.yolov8_source import YoloSource
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.segmenters.train import train_segmenter

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="an optional extra")

QUICK = {"start": yolo_path(), "epochs": 1, "batch_size": 4, "learning_rate": 1e-6, "val": 0.34, "device": "cpu"}


@pytest.fixture
def labelled(dataset, add_scenes, scenes):
    """Six scenes with their exact labels as the source "truth"."""
    exact = [
        Labels.from_instances([Instance(one.label, one.mask, 1.0) for one in scene.objects], CLASSES, (128, 128))
        for scene in scenes
    ]
    add_scenes(scenes, truth=exact)
    return dataset


def test_a_segmenter_learns_from_a_source_and_labels_as_one(labelled, scenes, tmp_path: Path) -> None:
    trained = train_segmenter(labelled, "truth", folder=tmp_path, into="student", **QUICK)
    assert trained.weights == tmp_path / f"{labelled.name}-truth" / f"{labelled.name}-truth.pt"
    assert trained.figures.mask_map50 > 0.5 and not trained.files.data.exists()
    found = YoloSource(CLASSES, trained.weights, device="cpu").label([scene.image for scene in scenes])
    assert labelled.values("student_instances.detections.label") == [
        [instance.label for instance in each.instances] for each in found
    ]
    assert compare(labelled, "student", "truth").samples == 6
    (run,) = labelled.list_runs(method="diffucurate/train_segmenter")
    config = labelled.get_run_info(run).config
    assert config.facts["images"] == {"train": 4, "val": 2} and config.facts["figures"]["mask_map50"] > 0.5
    with pytest.raises(InvalidSetting, match=r"name.*a segmenter of that name is there"):
        train_segmenter(labelled, "truth", folder=tmp_path, **QUICK)
    # Labels of two checkpoints, side by side; those of the first name are replaced by its next ones.
    label(labelled, source="yolov8")
    label(labelled, source="yolov8", into="student")
    assert labelled.values("student_instances.detections.label") == labelled.values("yolov8_instances.detections.label")


def test_a_stopped_run_goes_on_only_as_itself(labelled, tmp_path: Path) -> None:
    def stop(report: Progress) -> None:
        if report.note.startswith("epoch 1 "):
            raise KeyboardInterrupt

    settings = {**QUICK, "epochs": 2, "name": "one", "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        train_segmenter(labelled, "truth", progress=stop, **settings)
    with pytest.raises(InvalidSetting, match=r"name.*'one'.*other settings"):
        train_segmenter(labelled, "truth", **{**settings, "seed": 5})
    trained = train_segmenter(labelled, "truth", **settings)
    assert trained.epochs == 2
    runs = sorted(labelled.list_runs(method="diffucurate/train_segmenter"))
    assert [labelled.get_run_info(run).config.facts["resumed"] for run in runs] == [False, True]


def test_a_new_run_that_stops_at_once_is_not_taken_for_the_earlier_one(labelled, tmp_path: Path) -> None:
    def stop(report: Progress) -> None:
        if report.done:
            raise KeyboardInterrupt

    settings = {**QUICK, "name": "one", "folder": tmp_path}
    earlier = train_segmenter(labelled, "truth", **settings).weights.read_bytes()
    anew = {**settings, "seed": 5}
    with pytest.raises(KeyboardInterrupt):
        train_segmenter(labelled, "truth", overwrite=True, progress=stop, **anew)
    assert (tmp_path / "one" / "one.pt").read_bytes() == earlier  # until there is a better one
    train_segmenter(labelled, "truth", **anew)
    run = max(labelled.list_runs(method="diffucurate/train_segmenter"))
    assert labelled.get_run_info(run).config.facts["resumed"] is False


def test_labels_that_changed_are_learned_from_the_beginning(labelled, tmp_path: Path) -> None:
    def stop(report: Progress) -> None:
        if report.note.startswith("epoch 1 "):
            raise KeyboardInterrupt

    settings = {**QUICK, "epochs": 2, "name": "one", "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        train_segmenter(labelled, "truth", progress=stop, **settings)
    sample = labelled.first()
    sample.truth_instances.detections.pop()
    sample.save()
    train_segmenter(labelled, "truth", **settings)
    run = max(labelled.list_runs(method="diffucurate/train_segmenter"))
    assert labelled.get_run_info(run).config.facts["resumed"] is False


def test_what_cannot_be_learned_from_is_named(labelled, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no field 'gone_instances'"):
        train_segmenter(labelled, "gone", folder=tmp_path, **QUICK)
    with pytest.raises(InvalidSetting, match=r"into.*'truth'.*were not labelled"):
        train_segmenter(labelled, "truth", into="truth", folder=tmp_path, **QUICK)
    with pytest.raises(ExportError, match="split 'val' gets none"):
        train_segmenter(labelled.limit(1), "truth", folder=tmp_path, **QUICK)
    with pytest.raises(InvalidSetting, match=r"classes.*'boat'"):
        train_segmenter(labelled, "truth", classes=["boat"], folder=tmp_path, **QUICK)
    assert not SegmenterFiles.of(f"{labelled.name}-truth", tmp_path).weights.exists()
