"""The demo's recipe, and the demo itself with the built-in models."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import pytest

from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.tiny.shapes import CLASSES, COLOURS
from diffucurate.generator.tiny.words import PLACES, TIMES, vocabulary
from diffucurate.plugin.cli import run
from diffucurate.plugin.cli.run_demo import RECIPE


def test_the_recipe_speaks_the_built_in_models_language() -> None:
    recipe = Recipe.load(RECIPE)
    assert recipe.model == "tiny" and set(recipe.classes) <= set(CLASSES)
    known = set(vocabulary())
    for job in jobs(recipe):
        assert known.issuperset(job.prompt.split()), job.prompt
    assert set(recipe.attributes["colour"]) | set(recipe.attributes["colour_too"]) <= set(COLOURS)
    assert set(recipe.attributes["place"]) <= set(PLACES) and set(recipe.attributes["time"]) <= set(TIMES)


def test_the_recipe_is_small_and_shows_every_class_alone_or_in_company() -> None:
    made = jobs(Recipe.load(RECIPE))
    assert len(made) == 24
    assert Counter(len(job.phrases) for job in made) == {1: 12, 2: 12}
    assert {label for job in made for label in job.phrases} == set(Recipe.load(RECIPE).classes)


@pytest.mark.parametrize("layout", [("images/a.png", "labels/a.txt", "data.yaml"), ("old.cache",)])
def test_a_folder_that_the_demo_did_not_write_stays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], layout: tuple[str, ...]
) -> None:
    """Refused before anything is painted."""
    for name in layout:
        (tmp_path / "yolo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "yolo" / name).write_text("years of work")
    assert run(["demo", "--out", str(tmp_path), "--no-app"]) == 1
    assert "which is not part of a yolo export" in capfd.readouterr().err
    assert all((tmp_path / "yolo" / name).read_text() == "years of work" for name in layout)
    assert not fo.dataset_exists(Recipe.load(RECIPE).dataset)


@pytest.fixture
def deleted() -> Iterator[None]:
    """Deletes the demo's dataset."""
    yield
    fo.delete_dataset(Recipe.load(RECIPE).dataset)


@pytest.mark.slow
@pytest.mark.usefixtures("deleted")
def test_the_whole_way_twice(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["demo", "--out", str(tmp_path / "out")]
    code = run([*arguments, "--json"])
    out, err = capfd.readouterr()
    assert code == 0, err
    first = json.loads(out)
    assert first["samples"] == 24 and 0 <= first["kept"] <= 24 and first["view"]
    assert first["comparison"]["samples"] == 24 and first["comparison"]["overall"]["matched"] > 0
    for stage in (
        "generate: 24/24",
        "label yolov8: 24/24",
        "compare attention yolov8: 24/24",
    ):
        assert stage in err
    exported = first["kept"] or 24
    for folder in first["exports"].values():
        assert len(list(Path(folder).rglob("*.png"))) == exported

    # Again, for a person whose output is not a terminal: nothing is painted, nothing waits for the App.
    command = [sys.executable, "-m", "diffucurate.plugin.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "generate: " not in done.stderr
    assert "mean IoU" in done.stdout and str(tmp_path / "out" / "coco") in done.stdout
    assert "fiftyone app launch diffucurate-demo" in done.stdout
