"""A recipe on a model with a safety checker: other seeds for what is blacked out, or no checker, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest
from untrained import add_safety_checker, unsafe_score

from diffucurate.generator.errors import DatasetError, RecipeError
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.jobs.retries import retry_seeds
from diffucurate.generator.models.load import load_pipeline, release_models
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.cli.running import run
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.repaint import repaint
from diffucurate.plugin.provenance.provenance import provenance

CONTENT: dict[str, Any] = {
    "dataset": "checked-streets",
    "size": [64, 64],
    "steps": 1,
    "guidance": 1.0,
    "seeds": 4,
    "classes": {"car": ["car"]},
    "templates": ["a red car"],
    "retries": 10,
}


@pytest.fixture(scope="module")
def model(model_folder: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model with a checker that takes one of the four images for unsafe."""
    folder = str(tmp_path_factory.mktemp("checked") / "model")
    pipe = add_safety_checker(load_pipeline(model_folder, "cpu"), threshold=2)
    planned = jobs(Recipe.from_mapping({**CONTENT, "model": folder}))
    scores = sorted(unsafe_score(pipe, painting.image) for painting in paint(planned, pipe=pipe, batch_size=4))
    assert scores[-1] - scores[-2] > 1e-3
    pipe.safety_checker.concept_embeds_weights.data.fill_((scores[-1] + scores[-2]) / 2)
    pipe.save_pretrained(folder)
    release_models()  # with the checker, other tests' model is not their own
    yield folder
    release_models()


@pytest.fixture
def content(model: str) -> Iterator[dict[str, Any]]:
    yield {**CONTENT, "model": model}
    if fo.dataset_exists(CONTENT["dataset"]):
        fo.delete_dataset(CONTENT["dataset"])


def planned_ids(content: dict[str, Any]) -> set[str]:
    return {job.job_id for job in jobs(Recipe.from_mapping(content))}


def test_what_was_blacked_out_has_another_seed_under_the_planned_job(content: dict[str, Any]) -> None:
    reports: list[Any] = []
    dataset = generate(content, progress=reports.append)
    assert set(dataset.values("job_id")) == planned_ids(content) and len(dataset) == 4
    (again,) = [sample for sample in dataset if sample.seed not in range(4)]
    assert again.seed in retry_seeds(again.job_id)
    (missing,) = set(range(4)) - set(dataset.values("seed"))
    assert again.painted.planned_seed == missing
    assert not any(sample.painted.has_field("planned_seed") for sample in dataset if sample.id != again.id)
    (key,) = dataset.list_runs()
    assert dataset.get_run_info(key).config.facts["blacked_out"] == {"images": 1, "painted_again": 1}
    assert reports[-1].note == "safety checker: 1 image blacked out, 1 of them painted with another seed"

    made = provenance(again)
    assert (made.job.job_id, made.job.seed, made.changed) == (again.job_id, again.seed, ())
    assert all(result.identical for result in repaint(dataset))
    before = dataset.values("id")
    assert generate(content).values("id") == before and len(dataset.list_runs()) == 1  # nothing is painted again

    again.prompt = "another"
    again.save()
    assert provenance(again).changed == ("prompt",) and provenance(again).job.seed == again.seed
    again.seed = 7
    again.save()
    with pytest.raises(DatasetError, match="was never painted with seed 7"):
        provenance(again)


def test_without_retries_it_is_left_out_and_said(
    content: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({**content, "retries": 0}))
    assert run(["generate", str(path), "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["added"], document["blacked_out"]) == (3, {"images": 1, "painted_again": 0})
    assert run(["generate", str(path)]) == 0
    assert "0 images added, 3 in all; safety checker: 1 image blacked out, 1 left out" in capfd.readouterr().out
    # Without the checker the gap is filled by the planned job with its own seed.
    dataset = generate({**content, "safety_checker": False})
    assert set(dataset.values("job_id")) == planned_ids(content) and set(dataset.values("seed")) == set(range(4))
    assert all(result.identical for result in repaint(dataset))
    assert load_pipeline(content["model"]).safety_checker is not None


def test_a_checker_that_the_model_has_not(content: dict[str, Any], model_folder: str) -> None:
    with pytest.raises(RecipeError, match="safety_checker: True - this model has none"):
        generate({**content, "model": model_folder, "safety_checker": True})
    assert not fo.dataset_exists(content["dataset"])
