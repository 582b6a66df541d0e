"""The measures of labels against an exact truth, by hand; and the photographs' table on a folder drawn here."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Y, X = np.mgrid[:80, :120]


@pytest.fixture(scope="module")
def quality() -> Iterator[Any]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("quality")
    sys.path.remove(str(BENCHMARKS))
    del sys.modules["quality"]


def test_boundary_f(quality: Any) -> None:
    square = (abs(X - 60) < 20) & (abs(Y - 40) < 20)
    assert quality.boundary_f(square, square) == 1
    assert quality.boundary_f(np.roll(square, 1, axis=1), square) == 1  # within a pixel
    assert quality.boundary_f(square, (abs(X - 60) < 30) & (abs(Y - 40) < 30)) == 0
    # A half of it: its own outline is right but for the new side, and has half of the true one.
    half = square & (X < 60)
    assert 0.55 < quality.boundary_f(half, square) < 0.7
    assert quality.boundary_f(np.zeros_like(square), square) == 0
    assert quality.boundary_f(np.zeros_like(square), np.zeros_like(square)) == 1


def test_calibration_error(quality: Any) -> None:
    """By hand: of four at 0.75 three are right, which is as said; of two at 0.25 both are, 0.75 off, a third of all."""
    scores, ious = [0.75] * 4 + [0.25] * 2, [0.9, 0.5, 0.7, 0.2, 0.6, 0.6]
    assert quality.calibration_error(scores[:4], ious[:4]) == pytest.approx(0)
    assert quality.calibration_error(scores, ious) == pytest.approx(0.75 / 3)
    assert quality.calibration_error([1.0], [0.1]) == 1 and quality.calibration_error([], []) == 0


def test_average_precision_of_one_right_and_one_wrong(quality: Any) -> None:
    square, other = abs(X - 30) + abs(Y - 40) < 15, abs(X - 90) + abs(Y - 40) < 15
    truth = [[quality.Found("a", square, 1.0)]]
    right, wrong = quality.Found("a", square, 0.6), quality.Found("a", other, 0.9)
    assert quality.average_precision_50([[right]], truth) == pytest.approx({"a": 1.0, "mean": 1.0})
    assert quality.average_precision_50([[right, wrong]], truth)["mean"] == pytest.approx(0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images with an ellipse each, as YOLO labels and as a COCO file."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    images, annotations = [], []
    for number in range(4):
        ring = cv2.ellipse2Poly((60 + 5 * number, 40), (25, 20), 0, 0, 360, 10)
        pixels = rng.integers(90, 120, (80, 120, 3)).astype(np.uint8)
        cv2.fillPoly(pixels, [ring], (40, 60, 200))
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), pixels)
        line = " ".join(f"{value:.6f}" for value in (ring / (120, 80)).ravel())
        (tmp_path / "labels" / f"{number}.txt").write_text(f"3 {line}\n")
        images.append({"id": number, "file_name": f"images/{number}.png", "width": 120, "height": 80})
        annotations.append(
            {
                "id": 1 + number,
                "image_id": number,
                "category_id": 3,
                "iscrowd": 0,
                "segmentation": [ring.ravel().tolist()],
            }
        )
    categories = [{"id": 3, "name": "ellipse"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    return tmp_path


def printed(folder: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, str(BENCHMARKS / "photographs.py"), str(folder), "--json", str(folder / "out.json")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(json.loads((folder / "out.json").read_text()))


def test_the_table_of_a_folder(folder: Path) -> None:
    report = printed(folder, "--half", "all", "--pictures", str(folder / "pictures"))
    for way, kinds in report["IoU"].items():
        assert kinds["sharp64"] > 0.85, way
        assert kinds["sharp64"] > kinds["wrong32"] + 0.3
        assert way == "best cut" or kinds["plain16"] <= 1
    assert report["ours"]["sharp64"]["AP50"] == 1.0
    assert list((folder / "pictures").iterdir())
    by_coco = printed(folder, "--half", "all", "--coco", str(folder / "coco.json"))
    assert by_coco["IoU"]["ours"]["clean16"] == pytest.approx(report["IoU"]["ours"]["clean16"], abs=0.01)


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "photographs.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and f"no image below {tmp_path}" in done.stderr
