"""Where a pipeline's weights are, by what the card has room for: chosen, put there, and nothing else changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import accelerate
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from simulated_card import SimulatedCard, card_with

from diffucurate.generator.errors import ModelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models import load, placement
from diffucurate.generator.models.load import load_pipeline, release_models
from diffucurate.generator.models.placement import (
    Memory,
    Placement,
    all_weights_there,
    described,
    place,
    placed,
    planned,
    weights,
)
from diffucurate.generator.painting.painter import Painting, paint

MODELS = ("vae", "text_encoder", "unet")


@pytest.fixture(autouse=True)
def _layers_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers names the CPU "cpu:0", on which Accelerate makes plain tensors of parameters; no card is so."""

    def offload(pipe: Any, device: str) -> None:
        for name in MODELS:
            accelerate.cpu_offload(getattr(pipe, name), torch.device(device))

    monkeypatch.setattr(StableDiffusionPipeline, "enable_sequential_cpu_offload", offload)


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    release_models()
    yield
    release_models()


def job(prompt: str, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "task": "txt2img", "prompt": prompt, "negative_prompt": "", "phrases": {"car": ("car",)}, "attributes": {},
        "seed": 3, "size": (64, 64), "steps": 2, "guidance": 4.0, "model": "tiny",
    }  # fmt: skip
    return Job.of(**{**values, **changes})


def painted(pipe: Any) -> list[Painting]:
    return list(paint([job("a red car"), job("a car at night")], pipe=pipe, batch_size=2))


def test_what_fits_is_planned(pipe: Any) -> None:
    sizes = weights(pipe)
    assert set(sizes) == set(MODELS)
    unet = sum(parameter.numel() * 4 for parameter in pipe.unet.parameters())
    assert sizes["unet"] == unet == max(sizes.values())
    everything, working = sum(sizes.values()), 1000

    def plan(free: int, memory: Memory = "auto", working: int = working) -> Placement:
        return planned(pipe, SimulatedCard("cpu", free), memory, working)

    assert plan(everything + working) == Placement()
    assert plan(everything + working - 1) == Placement("models")
    assert plan(unet + working // 4) == Placement("models")
    assert plan(unet + working // 4 - 1) == Placement("layers")
    # A decoder that takes more than any model has the card for itself while models take turns.
    assert plan(sizes["vae"] + 2 * unet, working=2 * unet) == Placement("models")
    assert plan(sizes["vae"] + 2 * unet - 1, working=2 * unet) == Placement("layers")
    assert plan(10**12, "low") == Placement("models", sliced=True, tiled=True)
    assert plan(unet - 1, "low") == Placement("layers", sliced=True, tiled=True)
    assert plan(1, "off") == Placement()


def test_a_card_that_says_nothing_of_its_memory_gets_all_weights(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard("cpu", 1)
    monkeypatch.setattr(card, "free", lambda: None)
    assert planned(pipe, card, "auto", 1) == Placement()


@pytest.mark.parametrize("offload", ["models", "layers"])
def test_images_and_maps_are_the_same(make_pipe: Callable[..., Any], offload: str) -> None:
    pipe = make_pipe()
    before = painted(pipe)
    sizes = weights(pipe)
    room = max(sizes.values()) + 10 if offload == "models" else 0
    with card_with(room, pipe):
        state = placed(pipe)
        assert state is not None and state.placement.offload == offload
        after = painted(pipe)
        # Single layers that wait have no weights at all, whole models have them in the CPU's memory.
        assert next(pipe.unet.parameters()).device.type == ("meta" if offload == "layers" else "cpu")
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one.image, other.image) and np.array_equal(one.heatmaps["car"], other.heatmaps["car"])
    with card_with(10**12, pipe):  # as it was asked for already
        assert placed(pipe) is state
    state = place(pipe, "cpu", "off", 0, release=lambda: False)
    assert state.placement == Placement() and not hasattr(pipe.unet, "_hf_hook")
    assert np.array_equal(painted(pipe)[0].image, before[0].image)


def test_what_is_on_the_card_is_said(make_pipe: Callable[..., Any]) -> None:
    pipe = make_pipe()
    assert described(pipe) is None
    size = sum(weights(pipe).values())
    with card_with(size + 2**30, pipe):
        assert described(pipe) is None  # on a CPU as usual
    with card_with(3 * size, pipe):
        place(pipe, "cpu", "low", 0, release=lambda: False)
        sentence = described(pipe)
    assert sentence is not None and sentence.startswith("cpu, 0.0 GiB free: its models take turns on the card, images")


def test_weights_can_be_changed_wherever_they_are(make_pipe: Callable[..., Any]) -> None:
    pipe = make_pipe()
    with card_with(0, pipe):
        assert next(pipe.unet.parameters()).device.type == "meta"
        with all_weights_there(pipe):
            assert next(pipe.unet.parameters()).device.type == "cpu"
        assert next(pipe.unet.parameters()).device.type == "meta"
        assert [painting.heatmaps["car"].max() > 0 for painting in painted(pipe)] == [True, True]


def test_another_model_that_is_kept_goes_first(make_pipe: Callable[..., Any], tmp_path: Any) -> None:
    make_pipe().save_pretrained(tmp_path / "one")
    make_pipe().save_pretrained(tmp_path / "two")
    load_pipeline(str(tmp_path / "one"), "cpu")
    size = sum(weights(load_pipeline(str(tmp_path / "one"), "cpu")).values())
    with card_with(0) as card:
        room = {2: size // 2, 1: size + 2**30}  # models kept -> bytes that are free
        card.free = lambda: room[len(load._loaded)]  # type: ignore[method-assign]
        state = placed(load_pipeline(str(tmp_path / "two"), "cpu"))
    assert state is not None and state.placement == Placement()
    assert [key[0] for key in load._loaded] == [str(tmp_path / "two")]


def test_a_model_that_does_not_fit_is_one_sentence(
    make_pipe: Callable[..., Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pipe().save_pretrained(tmp_path)

    def full(*args: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(placement, "_put_weights", full)
        with pytest.raises(ModelError, match=f"'{tmp_path}' does not fit the memory of cpu; use a smaller model"):
            load_pipeline(str(tmp_path), "cpu")
    assert not load._loaded
    assert placed(load_pipeline(str(tmp_path), "cpu")) is not None


def test_less_is_tried_while_it_is_put_there(make_pipe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free may be gone a moment later."""
    pipe, tried = make_pipe(), []
    put_weights = placement._put_weights

    def first_fails(pipe: Any, state: Any) -> None:
        tried.append(state.placement.offload)
        if len(tried) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        put_weights(pipe, state)

    monkeypatch.setattr(placement, "_put_weights", first_fails)
    with card_with(10**12, pipe):
        state = placed(pipe)
    assert state is not None and (tried, state.placement.offload) == (["none", "models"], "models")
