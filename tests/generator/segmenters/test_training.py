"""Training a segmenter: from weights, stopped and continued, and what comes out. Real trainings, a few steps long."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.exports.yolo import write_yolo
from diffucurate.generator.models.built_in import yolo_path
from diffucurate.generator.progress import Progress
from diffucurate.generator.segmenters.files import SEGMENTERS_DIR_VARIABLE, SegmenterFiles
from diffucurate.generator.segmenters.settings import SegmenterSettings
from diffucurate.generator.segmenters.start import check_start
from diffucurate.generator.segmenters.training import train_segmenter, validate
from diffucurate.generator.sources.yolov8_checkpoint import check_checkpoint
from diffucurate.generator.tiny.scenes import iter_scenes
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.generator.tiny.train_yolo import write_renders, yolo_records

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="an optional extra")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_renders(tmp_path_factory.mktemp("renders"), {"train": 16, "val": 12})


class Stop(Exception):  # noqa: N818  (as KeyboardInterrupt)
    """What a person's Ctrl-C does."""


def test_a_stopped_training_goes_on_where_it_stopped(data: Path, tmp_path: Path) -> None:
    settings = SegmenterSettings(epochs=3, batch_size=8, val=0.3)
    files = SegmenterFiles.of("short", tmp_path)
    reports: list[Progress] = []

    def stop(report: Progress) -> None:
        if report.note.startswith("epoch 2"):
            raise Stop

    with pytest.raises(Stop):
        train_segmenter(data, settings, files, image_size=64, device="cpu", progress=stop)
    assert files.last.is_file() and not files.weights.exists()
    trained = train_segmenter(data, settings, files, image_size=64, device="cpu", resume=True, progress=reports.append)
    assert trained.epochs == 3 and trained.curves["epoch"] == [1, 2, 3]
    assert [(report.done, report.total) for report in reports] == [(5, 6), (6, 6), (6, 6)]  # 2 batches an epoch
    assert reports[-1].note.startswith("epoch 3 of 3: mask AP50 ")
    # Killed after the last epoch, before the segmenter was written: nothing is trained again.
    files.weights.unlink()
    reports.clear()
    again = train_segmenter(data, settings, files, image_size=64, device="cpu", resume=True, progress=reports.append)
    assert not reports and again.epochs == 3 and files.weights.is_file()


def test_training_starts_from_the_weights_it_is_given_and_their_classes(tmp_path: Path) -> None:
    names = ("piano", *reversed(CLASSES))  # one more than the checkpoint knows, all in other places
    splits = {"train": iter_scenes(16, 20), "val": iter_scenes(12, 21)}
    records = [each for split, scenes in splits.items() for each in yolo_records(tmp_path / "images", split, scenes)]
    data = write_yolo(records, tmp_path / "data", names).data_yaml
    settings = SegmenterSettings(start=str(yolo_path()), epochs=1, batch_size=8, learning_rate=1e-6)
    files = SegmenterFiles.of("built-in", tmp_path)
    trained = train_segmenter(data, settings, files, image_size=128, device="cpu")
    figures = trained.figures
    assert figures.mask_map50 > 0.7 and set(figures.classes) <= set(CLASSES)  # none of the scenes has a piano
    assert figures == validate(files.weights, data, split="val", image_size=128)
    check_checkpoint(files.weights)  # anybody can read it without running code
    assert str(tmp_path).encode() not in files.weights.read_bytes()


def test_what_cannot_be_started_from_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"start.*yolov9000-seg.*yolov8n-seg"):
        check_start("yolov9000-seg")
    with pytest.raises(InvalidSetting, match="yolov8n"):  # an architecture for boxes
        check_start("yolov8n")
    with pytest.raises(ModelError, match="no file on this machine"):
        check_start(str(tmp_path / "gone.pt"))
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be loaded as a YOLO checkpoint"):
        check_start(str(tmp_path / "broken.pt"))
    for name in ("yolov8n-seg", "yolo11s-seg", str(yolo_path())):
        check_start(name)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_size": 100}, "image_size.*100.*multiple of 32"),
        ({"epochs": 0}, "epochs.*0.*at least 1|epochs.*from 1"),
        ({"val": 1.0}, "val.*1"),
        ({"start": ""}, "start.*must not be empty"),
    ],
)
def test_settings_that_make_no_sense(values: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        SegmenterSettings(**values)


def test_files_have_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEGMENTERS_DIR_VARIABLE, str(tmp_path))
    assert SegmenterFiles.of("a b").weights == tmp_path / "a b" / "a b.pt"
    with pytest.raises(InvalidSetting, match=r"name.*\.\./a"):
        SegmenterFiles.of("../a")
    assert SegmenterFiles.of("new").read_facts() == {} and SegmenterFiles.of("new").read_curves() == {}
