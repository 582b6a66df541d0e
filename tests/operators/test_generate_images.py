"""Generate images: recipes checked in the form, and images painted by a small pipeline with random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffucurate.operators.generate_images import EXAMPLE

if TYPE_CHECKING:
    import fiftyone as fo


def test_the_example_is_a_recipe(app) -> None:
    assert app.problems("generate_images", None, recipe=EXAMPLE) == {}
    summary = app.form("generate_images", None, recipe=EXAMPLE)["recipe_summary"]["view"]["label"]
    assert summary == "16 images for dataset 'my-streets', labelled as car, bus."


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("dataset: [", "not valid YAML"),
        (EXAMPLE.replace("seeds: 2", "seed: 2"), "seed"),
        (EXAMPLE.replace("{time}", "{tiem}"), "tiem"),
        (EXAMPLE.replace("car: [car]", "piano: [piano]"), "piano"),
    ],
)
def test_what_is_wrong_with_a_recipe_stands_on_the_field(app, recipe: str, words: str) -> None:
    problems = app.problems("generate_images", None, recipe=recipe)
    assert list(problems) == ["recipe"]
    assert words in problems["recipe"] and "\n" not in problems["recipe"]


def test_recipe_files(app, tmp_path: Path) -> None:
    path = tmp_path / "streets.yaml"
    ask = {"recipe_from": "file", "recipe_path": str(path)}
    assert "streets.yaml" in app.problems("generate_images", None, **ask)["recipe_path"]
    path.write_text(EXAMPLE)
    assert app.problems("generate_images", None, **ask) == {}
    assert "recipe" not in app.form("generate_images", None, **ask)


@pytest.fixture
def recipe(random_pipeline: Path, tmp_path: Path, monkeypatch) -> Iterator[str]:
    import fiftyone as fo

    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", str(tmp_path / "media"))
    text = EXAMPLE.replace("model: tiny", f"model: {random_pipeline}").replace("[128, 128]", "[64, 64]")
    yield text.replace("steps: 20", "steps: 2")
    if fo.dataset_exists("my-streets"):
        fo.delete_dataset("my-streets")


def test_run_paints_opens_and_goes_on(app, dataset: fo.Dataset, recipe: str) -> None:
    import fiftyone as fo

    told = app.stream("generate_images", dataset, recipe=recipe, count=2)
    assert app.said(told) == ("Success", "2 images added to 'my-streets', which now holds 2")
    assert dict(told)["open_dataset"]["dataset"] == "my-streets"
    made = fo.load_dataset("my-streets")
    assert made.count("heatmap_car") + made.count("heatmap_bus") >= 2
    told = app.stream("generate_images", made, recipe=recipe, count=3)
    assert app.said(told) == ("Success", "1 image added to 'my-streets', which now holds 3")
    assert "reload_dataset" in dict(told) and "open_dataset" not in dict(told)


def test_call_from_python(app, recipe: str, tmp_path: Path) -> None:
    import fiftyone.operators as foo

    path = tmp_path / "recipe.yaml"
    path.write_text(recipe)
    operator = foo.get_operator("@diffucurate/diffucurate/generate_images")
    assert operator(recipe_path=str(path), count=1) == {"dataset": "my-streets", "added": 1, "images": 1}


def test_built_from_python(app, recipe: str, random_pipeline: Path) -> None:
    import fiftyone.operators as foo

    built = {"recipe_from": "built", "dataset": "my-streets", "model": str(random_pipeline), "steps": 2}
    built |= {"templates": "a {colour} car", "attributes": {"colour": ["red", "blue"]}, "width": 64, "height": 64}
    operator = foo.get_operator("@diffucurate/diffucurate/generate_images")
    assert operator.call(None, built) == {"dataset": "my-streets", "added": 2, "images": 2}
    summary = app.form("generate_images", None, **built)["recipe_summary"]["view"]
    assert "The dataset exists: only what is missing is painted" in summary["label"]
    assert "as measured in the last run" in summary["description"]


def test_all_sections_of_a_diffugen_config(app, random_pipeline: Path, tmp_path: Path) -> None:
    """Its pickled word is converted when it is painted, not when the form is drawn, which must not load torch."""
    import fiftyone as fo
    import torch

    torch.save({"<piano>": torch.ones(16)}, tmp_path / "piano.pt")
    section = {"stable_diffusion_model": str(random_pipeline), "times_of_day": ["night"]}
    config = {
        "dataset_name": "theirs",
        "dataset_classes": ["car"],
        "steps": 2,
        "image_size": {"width": 64, "height": 64},
        "txt2img": {
            **section,
            "prompts": ["a car at {time_of_day} <piano>"],
            "textual_inversion": {"weights": str(tmp_path / "piano.pt"), "keyword": "<piano>"},
        },
        "img2img": {**section, "source_dataset": "out/theirs/txt2img", "times_of_day": ["noon"]},
    }
    ask = {"recipe_from": "pasted", "recipe": json.dumps(config)}
    form = app.form("generate_images", None, **ask)
    assert form["recipe_summary"]["view"]["label"].endswith("labelled as car. Then those for 'theirs-img2img'.")
    try:
        told = app.stream("generate_images", None, **ask)
        assert app.said(told) == ("Success", "2 images added to 'theirs', 'theirs-img2img'")
        assert dict(told)["open_dataset"]["dataset"] == "theirs"
    finally:
        for name in ("theirs", "theirs-img2img"):
            if fo.dataset_exists(name):
                fo.delete_dataset(name)
    (tmp_path / "piano.pt").unlink()
    assert "there is no such file" in app.problems("generate_images", None, **ask)["recipe"]


def test_a_model_that_is_not_there(app, recipe: str, random_pipeline: Path) -> None:
    text = recipe.replace(str(random_pipeline), "/nowhere/model")
    assert "/nowhere/model" in app.problems("generate_images", None, recipe=text)["recipe"]
