"""COCO captions -> images of the built-in model, labelled by class prompts, with where each caption came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.regenerate import regenerate
from diffucurate.plugin.generation.repaint import repaint
from diffucurate.plugin.provenance.describe import of_image
from diffucurate.plugin.provenance.provenance import provenance
from diffucurate.plugin.provenance.recipe_of_sample import recipe_of
from diffucurate.plugin.store.media_files import read_maps

LONG = "a car on a road " * 20


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A COCO file of captions, none of which says "bus", and one of the objects of the same images."""
    folder = tmp_path_factory.mktemp("coco")
    captions = {
        "images": [{"id": 11}, {"id": 12}],
        "annotations": [
            {"id": 901, "image_id": 11, "caption": "a red car on a {road} at noon"},
            {"id": 902, "image_id": 12, "caption": "a beach at sunset"},
            {"id": 903, "image_id": 12, "caption": LONG},
        ],
    }
    instances = {
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}, {"id": 3, "name": "kite"}],
        "annotations": [{"id": n, "image_id": 11 + n // 2, "category_id": c} for n, c in enumerate((1, 2, 2, 3))],
    }
    for name, content in (("captions", captions), ("instances", instances)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    return {"path": str(folder / "captions.json"), "instances": str(folder / "instances.json")}


@pytest.fixture(scope="module")
def content(files: dict[str, str]) -> dict[str, Any]:
    return {
        "dataset": "captioned",
        "model": "tiny",
        "size": [128, 128],
        "steps": 4,
        "classes": {"car": ["car"], "bus": ["bus", "coach"]},
        "captions": files,
    }


@pytest.fixture(scope="module")
def notes() -> list[str]:
    return []


@pytest.fixture(scope="module")
def captioned(content: dict[str, Any], notes: list[str]) -> Iterator[fo.Dataset]:
    yield generate(content, progress=lambda report: notes.append(report.note))
    fo.delete_dataset("captioned")


def test_labels_by_the_class_prompt(captioned: fo.Dataset, notes: list[str]) -> None:
    first, second = captioned
    assert first.prompt == "a red car on a {road} at noon; car; bus"
    assert second.prompt == "a beach at sunset; bus"
    # The bus is in no caption: only the class prompt can have found it.
    assert set(read_maps(first.attention_maps)) == {"car", "bus"} and set(read_maps(second.attention_maps)) == {"bus"}
    for sample in captioned:
        for heat in read_maps(sample.attention_maps).values():
            assert heat.min() >= 0 and np.ptp(heat) > 0
    assert captioned.count("attention_instances.detections") > 0
    assert any("kite (2)" in note for note in notes)


def test_where_the_caption_came_from(captioned: fo.Dataset, files: dict[str, str]) -> None:
    made = captioned.first().caption
    assert (made.text, made.file, made.caption_id, made.image_id) == (
        "a red car on a {road} at noon",
        files["path"],
        "901",
        "11",
    )
    assert (list(made.classes), made.class_prompt) == (["car", "bus"], "a photo of a car and a bus")
    assert captioned.match({"caption.image_id": "12"}).count() == 1
    told = of_image(provenance(captioned.first()))
    assert told["Caption"] == f"a red car on a {{road}} at noon (901 of image 11, '{files['path']}')"
    assert told["Class prompt"] == "a photo of a car and a bus"


def test_what_was_left_out_is_counted(captioned: fo.Dataset, notes: list[str]) -> None:
    facts = captioned.get_run_info(captioned.list_runs()[0]).config.facts
    assert facts["captions"]["read"] == facts["captions"]["used"] == 3
    assert facts["captions"]["too_long"] == {"images": 1, "captions": ["903"]} and facts["added"] == 2
    assert any("1 image left out whose captions are too long, such as caption 903" in note for note in notes)


def test_again_nothing_is_added(captioned: fo.Dataset, content: dict[str, Any]) -> None:
    runs = captioned.list_runs()
    assert len(generate(content)) == 2 and captioned.list_runs() == runs


def test_provenance_leads_to_the_same_image(captioned: fo.Dataset, tmp_path: Path) -> None:
    sample = captioned.last()
    (result,) = repaint(sample)
    assert result.identical and result.provenance.changed == ()
    assert [job.job_id for job in jobs(recipe_of(sample))] == [sample.job_id]
    # What a person has changed is found again among the recipe's captions.
    before = sample.prompt
    sample.prompt = "a bus"
    sample.save()
    assert provenance(sample).changed == ("prompt",) and provenance(sample).job.prompt == before
    sample.prompt = before
    sample.save()


def test_another_seed(captioned: fo.Dataset) -> None:
    new = regenerate(captioned.last(), seeds=1).first()
    assert (new.seed, new.caption.class_prompt) == (1, "a photo of a bus") and new.heatmap_bus is not None
    captioned.delete_samples(new)


def test_a_model_that_cannot_read_any_of_them(content: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="does not read it to its end"):
        generate({**content, "dataset": "never", "captions": [LONG], "classes": {"car": ["car"]}})
    assert not fo.dataset_exists("never")
