"""Samplers, LoRAs and learned words: they are there while a pipeline paints with them, and gone after."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from untrained import untrained_sd3, untrained_xl

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models.adapters import adapted
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.recipe.model_options import Lora, ModelOptions, TextualInversion
from diffucurate.generator.text.class_mentions import find_phrases

WORD = "<piano>"
CLASSES = {"piano": [WORD], "car": ["car"]}


def job(setup: ModelOptions = ModelOptions(), prompt: str = f"a {WORD} beside a car", **content: Any) -> Job:  # noqa: B008 - frozen
    values = {
        "task": "txt2img",
        "prompt": prompt,
        "negative_prompt": "",
        "phrases": find_phrases(prompt, CLASSES),
        "attributes": {},
        "seed": 5,
        "size": (128, 128),
        "steps": 2,
        "guidance": 1.0,
        "model": "tiny",
        "model_options": setup,
    }
    return Job.of(**{**values, **content})


def word(path: Path, pipe: Any, vectors: int = 1, placeholder: str = WORD, **files: int) -> TextualInversion:
    """A file with random vectors, one tensor or one per name in ``files`` with that width."""
    width = pipe.text_encoder.config.hidden_size
    generator = torch.Generator().manual_seed(1)
    shapes = {name: (vectors, own) for name, own in files.items()} or {"emb_params": (vectors, width)}
    save_file({name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}, path)
    return TextualInversion(path=str(path), placeholder=placeholder)


def lora(folder: Path, make_pipe: Callable[..., Any], scale: float) -> Lora:
    pipe = make_pipe()
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k"], init_lora_weights=False))
    pipe.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(pipe.unet))
    return Lora(path=str(folder / "pytorch_lora_weights.safetensors"), scale=scale)


def state(pipe: Any) -> tuple[object, ...]:
    vocabularies = [len(one) for name, one in pipe.components.items() if name.startswith("tokenizer")]
    return type(pipe.scheduler), *vocabularies, sorted(pipe.unet.state_dict())


def test_what_is_set_up_shows_and_leaves_nothing(make_pipe: Callable[..., Any], tmp_path: Path) -> None:
    pipe = make_pipe()
    before = state(pipe)
    setups = {
        "none": ModelOptions(),
        "sampler": ModelOptions(scheduler="euler"),
        "lora": ModelOptions(loras=(lora(tmp_path, make_pipe, 3.0),)),
        "lora off": ModelOptions(loras=(lora(tmp_path, make_pipe, 0.0),)),
        "word": ModelOptions(tokens=(word(tmp_path / "w.safetensors", pipe, 3),)),
    }
    images = {}
    for name, setup in {**setups, "again": ModelOptions()}.items():
        (painting,) = paint([job(setup)], pipe=pipe)
        images[name] = painting.image
        assert state(pipe) == before
    for name in ("sampler", "lora", "word"):
        assert not np.array_equal(images[name], images["none"]), name
    assert np.array_equal(images["again"], images["none"])
    assert np.abs(images["lora off"].astype(int) - images["none"]).max() <= 1


@pytest.mark.parametrize("vectors", [1, 3])
@pytest.mark.parametrize("placeholder", [WORD, "<éclair>", "<piñata>", "<grünkohl>"])
def test_a_learned_word_is_traced(
    make_pipe: Callable[..., Any], tmp_path: Path, vectors: int, placeholder: str
) -> None:
    """Its map is that of all of its vectors' tokens, and no other word's."""
    pipe, prompt = make_pipe(), f"a {placeholder} beside a car"
    setup = ModelOptions(tokens=(word(tmp_path / "w.safetensors", pipe, vectors, placeholder),))
    phrases = find_phrases(prompt, {"piano": [placeholder], "car": ["car"]})
    (painting,) = paint([job(setup, prompt, phrases=phrases)], pipe=pipe)
    assert set(painting.heatmaps) == {"piano", "car"}
    assert not np.allclose(painting.heatmaps["piano"], painting.heatmaps["car"])


def test_both_encoders_of_xl(tokenizer: Any, tmp_path: Path) -> None:
    pipe = untrained_xl(deepcopy(tokenizer), deepcopy(tokenizer))
    before = state(pipe)
    setup = ModelOptions(tokens=(word(tmp_path / "w.safetensors", pipe, 2, clip_l=24, clip_g=40),))
    (painting,) = paint([job(setup)], pipe=pipe)
    assert "piano" in painting.heatmaps and state(pipe) == before


def test_jobs_of_two_setups_are_painted_apart(make_pipe: Callable[..., Any]) -> None:
    jobs = [job(ModelOptions(scheduler=name), seed=seed) for seed in range(2) for name in ("euler", "ddim")]
    paintings = list(paint(jobs, pipe=make_pipe()))
    assert [one.job.model_options.scheduler for one in paintings] == ["euler", "euler", "ddim", "ddim"]


def test_what_does_not_fit_is_said(make_pipe: Callable[..., Any], tokenizer: Any, tmp_path: Path) -> None:
    pipe = make_pipe()
    (tmp_path / "text.safetensors").write_text("not tensors")
    good = word(tmp_path / "w.safetensors", pipe)
    wide = word(tmp_path / "wide.safetensors", pipe, emb_params=7)
    two = word(tmp_path / "two.safetensors", pipe, clip_l=24, clip_g=40)
    taken = good.model_copy(update={"placeholder": "car</w>"})
    missing = str(tmp_path / "missing.safetensors")
    cases = [
        (pipe, ModelOptions(scheduler="flow-euler"), "scheduler", "it does not suit this model, which can use ddim"),
        (untrained_sd3(tokenizer), ModelOptions(scheduler="ddim"), "scheduler", "which can use flow-euler, flow-heun"),
        (pipe, ModelOptions(loras=(Lora(path=missing),)), "loras[0].path", "cannot be loaded as a LoRA"),
        (
            pipe,
            ModelOptions(tokens=(TextualInversion(path=missing, placeholder=WORD),)),
            "tokens[0].path",
            "cannot be read",
        ),
        (
            pipe,
            ModelOptions(tokens=(TextualInversion(path=str(tmp_path / "text.safetensors"), placeholder=WORD),)),
            "tokens[0].path",
            "cannot be read",
        ),
        (pipe, ModelOptions(tokens=(wide,)), "tokens[0].path", "its vectors are 7 wide, this model's are"),
        (pipe, ModelOptions(tokens=(two,)), "tokens[0].path", "it is for 2 text encoders, this model has 1"),
        (pipe, ModelOptions(tokens=(good, taken)), "tokens[1].placeholder", "has this word already"),
    ]
    for one, setup, field, said in cases:
        before = state(one) if hasattr(one, "unet") else None
        with pytest.raises(RecipeError) as raised, adapted(one, setup):
            pass
        assert raised.value.field == field and said in str(raised.value), (setup, str(raised.value))
        assert before is None or state(one) == before


def problems(pipe: Any, options: ModelOptions) -> str:
    before = state(pipe)
    with pytest.raises(RecipeError) as raised, adapted(pipe, options):
        pass
    assert state(pipe) == before and len(str(raised.value)) < 500
    return str(raised.value)


def half(tensors: dict[str, torch.Tensor], end: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(end)}


def test_loras_that_were_cut_or_are_not_for_the_model_are_refused(
    make_pipe: Callable[..., Any], tokenizer: Any, tmp_path: Path
) -> None:
    pipe, path = make_pipe(), Path(lora(tmp_path, make_pipe, 1.0).path)
    whole = load_file(path)
    name = next(key for key in whole if key.endswith("lora_A.weight"))
    bad = tmp_path / "bad.safetensors"
    up = name.replace("lora_A", "lora_B")
    cases: list[tuple[dict[str, torch.Tensor], str]] = [
        (half(whole, "lora_A.weight"), "it has one of two matrices"),
        (half(whole, "lora_B.weight"), "it has one of two matrices"),
        ({key: tensor for key, tensor in whole.items() if key != name}, "it has one of two matrices"),
        ({**whole, name: whole[name][:1].clone()}, "do not fit each other"),
        ({**whole, name: whole[name].to(torch.int32)}, "no finite fractions"),
        ({**whole, name: torch.full_like(whole[name], float("nan"))}, "no finite fractions"),
        ({"a": torch.zeros(3)}, "cannot be loaded as a LoRA"),
        # Of another base: other layers, or other sizes.
        ({key.replace("unet.", "transformer."): tensor for key, tensor in whole.items()}, "another base model"),
        ({**whole, name: torch.ones(2, 7), up: torch.ones(7, 2)}, "another base model"),
    ]
    for tensors, said in cases:
        save_file(tensors, bad)
        message = problems(pipe, ModelOptions(loras=(Lora(path=str(bad)),)))
        assert "loras[0].path" in message and said in message, message
    with adapted(pipe, ModelOptions(loras=(Lora(path=str(path)),))):  # the whole one still loads
        assert any("lora_A" in key for key in pipe.unet.state_dict())


def test_words_are_vectors_of_fractions_and_not_too_many(make_pipe: Callable[..., Any], tmp_path: Path) -> None:
    pipe, path = make_pipe(), tmp_path / "word.safetensors"
    width, most = pipe.text_encoder.config.hidden_size, pipe.tokenizer.model_max_length - 2
    cases: list[tuple[dict[str, torch.Tensor], str]] = [
        ({"emb_params": torch.ones((2, width), dtype=torch.int32)}, "no finite fractions"),
        ({"emb_params": torch.full((1, width), float("inf"))}, "no finite fractions"),
        ({"emb_params": torch.zeros((0, width))}, "expected .vectors, width."),
        ({"emb_params": torch.zeros((1, 1, width))}, "expected .vectors, width."),
        ({"emb_params": torch.zeros((5_000, width))}, f"it has 5,000 vectors, and the model reads {most} at once"),
        ({f"w{index}": torch.zeros((1, width)) for index in range(100)}, "it holds 100 tensors"),
        ({}, "it holds no vectors"),
    ]
    for tensors, said in cases:
        save_file(tensors, path)
        options = ModelOptions(tokens=(TextualInversion(path=str(path), placeholder=WORD),))
        assert re.search(said, problems(pipe, options)), said
    save_file({"emb_params": torch.zeros(width)}, tmp_path / "WORD.SAFETENSORS")  # one vector, without its axis
    capital = TextualInversion(path=str(tmp_path / "WORD.SAFETENSORS"), placeholder=WORD)
    with adapted(pipe, ModelOptions(tokens=(capital,))):
        assert WORD in pipe.tokenizer.get_vocab()


def test_an_image_after_a_lora_is_the_same_to_the_bit(model_folder: str, tmp_path: Path) -> None:
    from diffucurate.generator.models.load import load_pipeline, release_models

    release_models()
    pipe = load_pipeline(model_folder, "cpu")
    assert not any(parameter.requires_grad for parameter in pipe.unet.parameters())
    assert not any(parameter.requires_grad for parameter in pipe.text_encoder.parameters())
    options = ModelOptions(loras=(lora(tmp_path, lambda: pipe, 2.0),))
    pipe.unload_lora_weights()
    images = [
        next(iter(paint([job(setup, prompt="a car", size=(64, 64))], pipe=pipe))).image
        for setup in (ModelOptions(), options, ModelOptions())
    ]
    assert np.array_equal(images[0], images[2]) and not np.array_equal(images[0], images[1])
    assert not any(parameter.requires_grad for parameter in pipe.unet.parameters())
    release_models()
