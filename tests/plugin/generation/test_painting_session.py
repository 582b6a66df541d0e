"""One session per run: the model is set up once, and whatever is wrong with it is raised before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest
import torch
from safetensors.torch import save_file

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.models import adapters
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting import painter, pipeline
from diffucurate.generator.recipe.model_options import ModelOptions
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.painting_session import painting_session
from diffucurate.plugin.generation.regenerate import regenerate

WORD = "<piano>"


@pytest.fixture
def content(model_folder: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A recipe of two images that takes a sampler and a learned word of the model's."""
    width = load_pipeline(model_folder).text_encoder.get_input_embeddings().weight.shape[1]
    save_file({"word": torch.ones(1, width)}, tmp_path / "piano.safetensors")
    name = f"session-{abs(hash(request.node.name)):x}"
    yield {
        "dataset": name,
        "model": model_folder,
        "size": [64, 64],
        "steps": 2,
        "seeds": 2,
        "scheduler": "ddim",
        "tokens": [{"path": str(tmp_path / "piano.safetensors"), "placeholder": WORD}],
        "classes": {"car": ["car"]},
        "templates": [f"a car on a {WORD}"],
    }
    for made in (name, f"{name}-varied"):
        if fo.dataset_exists(made):
            fo.delete_dataset(made)


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[ModelOptions]:
    """The setups that pipelines were given, in order."""
    setups: list[ModelOptions] = []
    original = adapters.adapted

    @contextmanager
    def counted(pipe: Any, setup: ModelOptions) -> Iterator[None]:
        setups.append(setup)
        with original(pipe, setup):
            yield

    monkeypatch.setattr(adapters, "adapted", counted)
    monkeypatch.setattr(painter, "adapted", counted)
    monkeypatch.setattr(pipeline, "adapted", counted)
    return setups


def test_each_verb_sets_the_model_up_once(content: dict[str, Any], entered: list[ModelOptions]) -> None:
    pipe, setup = load_pipeline(content["model"]), Recipe.from_mapping(content).model_options
    scheduler, tokenizer = pipe.scheduler, pipe.tokenizer
    dataset = generate(content)
    assert len(dataset) == 2 and entered == [setup]
    regenerate(dataset, seeds=1)
    assert len(dataset) == 4 and entered == [setup] * 2
    varied = generate(
        {**content, "dataset": f"{dataset.name}-varied", "task": "img2img", "source": {"dataset": dataset.name}}
        | {"templates": [f"one car on a {WORD}"], "seeds": 1}
    )
    assert len(varied) == 4 and entered == [setup] * 3
    assert pipe.scheduler is scheduler and pipe.tokenizer is tokenizer  # as it was


def test_a_word_that_does_not_fit_is_refused_before_anything_is_written(
    content: dict[str, Any], tmp_path: Path
) -> None:
    dataset = generate(content, count=1)
    keys, fields = dataset.list_runs(), set(dataset.get_field_schema())
    save_file({"word": torch.ones(1, 3)}, tmp_path / "piano.safetensors")
    with pytest.raises(RecipeError, match="its vectors are 3 wide"):
        generate({**content, "dataset": f"{dataset.name}-varied"})
    assert not fo.dataset_exists(f"{dataset.name}-varied")
    with pytest.raises(RecipeError, match="its vectors are 3 wide"):
        generate(content)
    with pytest.raises(RecipeError, match="its vectors are 3 wide"):
        regenerate(dataset, seeds=1)
    dataset.reload()
    assert dataset.list_runs() == keys and set(dataset.get_field_schema()) == fields and len(dataset) == 1


def test_the_model_is_as_it_was_after_an_error(content: dict[str, Any]) -> None:
    pipe = load_pipeline(content["model"])
    scheduler = pipe.scheduler
    with pytest.raises(KeyboardInterrupt), painting_session(Recipe.from_mapping(content)) as session:
        assert session.pipe is pipe and pipe.scheduler is not scheduler
        raise KeyboardInterrupt
    assert pipe.scheduler is scheduler
