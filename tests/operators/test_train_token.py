"""Train token: what the form asks and refuses, and what a run shows at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffucurate.generator.inversion.files import WORDS_DIR_VARIABLE, WordFiles

if TYPE_CHECKING:
    import fiftyone as fo

QUICK = {"placeholder": "<it>", "steps": 2, "batch_size": 1, "preview_every": 2, "previews": 1}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(WORDS_DIR_VARIABLE, str(tmp_path / "words"))
    return tmp_path / "words"


def test_the_form(app, painted: fo.Dataset) -> None:
    form = app.form("train_token", painted)
    assert form["field"]["type"]["values"] == ["whole images", "attention"] and "label" not in form
    assert "caption_field" in form and "learning_rate" not in form
    form = app.form("train_token", painted, field="attention", show_more=True, lora="all", placeholder="<it>")
    assert form["label"]["type"]["values"] and "caption_field" not in form and "rank" in form
    assert "a word is learned from 3 to 50 examples, " in form["field"]["error_message"]
    form = app.form("train_token", painted, placeholder="<it>")
    assert "4 images to learn from, kept in " in form["summary"]["view"]["label"]


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"placeholder": "two words"}, "placeholder", "a placeholder is one word"),
        ({"name": "../it"}, "name", "use letters"),
        ({"vectors": 100}, "vectors", "it must be from 1 to 32"),
        ({"field": "gone"}, "field", "no labels 'gone' any more"),
        ({"model": "/nowhere/model"}, "model", "neither a folder nor a file"),
    ],
)
def test_what_the_form_refuses(app, painted: fo.Dataset, params: dict[str, str], field: str, words: str) -> None:
    problems = app.problems("train_token", painted, **{"placeholder": "<it>", **params})
    assert list(problems) == [field] and words in problems[field]


def test_a_run_ends_with_its_loss_and_previews(app, painted: fo.Dataset, random_pipeline: Path, folder: Path) -> None:
    told = app.stream("train_token", painted, model=str(random_pipeline), **QUICK)
    headline, sentence = app.said(told)
    assert headline == "Success" and sentence.startswith("Learned <it> in 2 steps, loss ")
    shown = told[-1][1]["outputs"]["type"]["properties"]
    each, mean = shown["loss_plot"]["view"]["data"]
    assert each["x"] == [1, 2] and each["y"] == pytest.approx(WordFiles.of("it").read_losses())
    assert sentence.startswith(f"Learned <it> in 2 steps, loss {mean['y'][-1]:.4f}")  # the curve ends at the loss
    layout = shown["loss_plot"]["view"]["layout"]
    assert [layout[axis]["title"]["text"] for axis in ("xaxis", "yaxis")] == ["step", "loss"]
    preview = shown["preview_row"]["type"]["properties"]["preview_0"]["view"]
    assert preview["label"] == "Step 2: a photo of a <it>"
    assert WordFiles.of("it").word.is_file()
    form = app.form("train_token", painted, **QUICK)
    assert "it was learned in 2 steps already; ask for more" in form["name"]["error_message"] and "loss_plot" in form
    form = app.form("train_token", painted, **{**QUICK, "steps": 3})
    assert "'it' was learned in 2 steps" in form["summary"]["view"]["label"] and "loss_plot" in form


def test_the_same_from_python(app, painted: fo.Dataset, random_pipeline: Path) -> None:
    import fiftyone.operators as foo

    operator = foo.get_operator("@diffucurate/diffucurate/train_token")
    result = operator(painted, "<it>", model=str(random_pipeline), steps=1, batch_size=1, preview_every=0)
    assert result["word"] == "<it>" and result["steps"] == 1 and result["previews"] == []
