"""Train segmenter: what the form asks and refuses, and what a run shows at its end."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffucurate.generator.models.built_in import yolo_path
from diffucurate.generator.segmenters.files import SEGMENTERS_DIR_VARIABLE

if TYPE_CHECKING:
    import fiftyone as fo

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="an optional extra")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(SEGMENTERS_DIR_VARIABLE, str(tmp_path / "segmenters"))
    return tmp_path / "segmenters"


def test_the_form(app, painted: fo.Dataset) -> None:
    form = app.form("train_segmenter", painted)
    assert form["start"]["default"] == "yolov8n-seg" and form["epochs"]["default"] == 100 and "seed" not in form
    form = app.form("train_segmenter", painted, val=0.25)
    assert "4 images to learn from, kept in " in form["summary"]["view"]["label"]
    assert app.form("train_segmenter", painted, show_more=True)["val"]["default"] == 0.1


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"epochs": 0}, "epochs", "it must be from 1"),
        ({"image_size": 100, "show_more": True}, "image_size", "multiple of 32"),
        ({"name": "../it", "val": 0.25}, "name", "use letters"),
        ({}, "val", "split 'val' gets none of 4 images"),
        ({"source": "gone"}, "source", "no labels 'gone' any more"),
        ({"into": "attention"}, "into", "from elsewhere"),
        ({"into": "not a name"}, "into", "letters, digits and underscores"),
    ],
)
def test_what_the_form_refuses(app, painted: fo.Dataset, params: dict[str, object], field: str, words: str) -> None:
    problems = app.problems("train_segmenter", painted, **params)
    assert list(problems) == [field] and words in problems[field]


def test_a_run_ends_with_its_figures(app, painted: fo.Dataset, folder: Path) -> None:
    quick = {
        "source": "attention",
        "start": str(yolo_path()),
        "epochs": 1,
        "val": 0.25,
        "name": "it",
        "into": "student",
    }
    told = app.stream("train_segmenter", painted, **quick)
    headline, sentence = app.said(told)
    assert headline == "Success" and sentence.startswith("Mask AP50 ") and str(folder / "it" / "it.pt") in sentence
    assert "student_instances" in painted.get_field_schema()
    assert "choose another name, or replace it" in app.problems("train_segmenter", painted, **quick)["name"]
