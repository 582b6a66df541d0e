"""What rectified-flow transformers are given of an image that they need not have painted, written out for each family:
encode, a straight line to the noise, one pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import QwenImageEditPipeline
from untrained import untrained_flux, untrained_pipeline, untrained_sd3, untrained_tokenizer
from untrained_chat import untrained_flux2, untrained_klein, untrained_qwen_image, untrained_z_image

from diffucurate.generator.attention.concepts import ConceptTrace
from diffucurate.generator.attention.families import family_of
from diffucurate.generator.attention.probe.flow_images import flow_maps
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.trace import AttentionTrace

CLASSES = {"car": ["car", "sedan"], "bus": ["bus"]}
PROMPT = "a car and a bus"
LEVEL = 0.15
IMAGE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
PIXELS = torch.from_numpy(IMAGE.copy()).permute(2, 0, 1)[None] / 127.5 - 1

MAKERS = {
    "sd3": untrained_sd3,
    "flux": untrained_flux,
    "flux2": lambda _: untrained_flux2(),
    "klein": lambda _: untrained_klein(),
    "qwen-image": lambda _: untrained_qwen_image(),
    "z-image": lambda _: untrained_z_image(),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    tokenizer = untrained_tokenizer(tmp_path_factory.mktemp("words"))

    def make(name: str) -> Any:
        pipe = MAKERS[name](tokenizer)
        pipe.default_sample_size = 14  # as many pixels as the image has, nearly
        return pipe

    return cache(make)


def scaled(vae: Any) -> torch.Tensor:
    return (vae.encode(PIXELS).latent_dist.mode() - vae.config.shift_factor) * vae.config.scaling_factor


def packed(latents: torch.Tensor) -> torch.Tensor:
    """(1, 48, 16): squares of 2 x 2 side by side, channels first."""
    return latents.reshape(1, 4, 6, 2, 8, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 48, 16)


def noised(latents: torch.Tensor) -> torch.Tensor:
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))
    return (1 - LEVEL) * latents + LEVEL * noise


def places(columns: int, row: int = 1) -> torch.Tensor:
    """(48, columns): the row and column of each token."""
    table = torch.zeros(48, columns)
    table[:, row], table[:, row + 1] = torch.arange(48) // 8, torch.arange(48) % 8
    return table


def look(name: str, pipe: Any) -> None:
    """One pass, by the pipeline's parts."""
    vae, level = pipe.vae, torch.tensor([LEVEL])
    if name == "sd3":
        states, _, pooled, _ = pipe.encode_prompt([PROMPT], None, None, do_classifier_free_guidance=False)
        pipe.transformer(noised(scaled(vae)), states, pooled, 1000 * level)
    elif name == "flux":
        states, pooled, text = pipe.encode_prompt([PROMPT], None, "cpu")
        latents = noised(packed(scaled(vae)))
        pipe.transformer(latents, states, pooled, level, places(3), text, torch.tensor([3.5]))
    elif name in ("flux2", "klein"):
        squares = vae.encode(PIXELS).latent_dist.mode().reshape(1, 4, 6, 2, 8, 2).permute(0, 1, 3, 5, 2, 4)
        squares = squares.reshape(1, 16, 48)
        deviation = (vae.bn.running_var + vae.config.batch_norm_eps).sqrt()
        latents = (squares - vae.bn.running_mean[:, None]) / deviation[:, None]
        states, text = pipe.encode_prompt([PROMPT])
        guidance = torch.tensor([4.0]) if name == "flux2" else None
        pipe.transformer(noised(latents.transpose(1, 2)), states, level, places(4), text, guidance)
    elif name == "qwen-image":
        frame = vae.encode(PIXELS[:, :, None]).latent_dist.mode()[:, :, 0]
        mean, deviation = (
            torch.tensor(values)[:, None, None] for values in (vae.config.latents_mean, vae.config.latents_std)
        )
        states, mask = pipe.encode_prompt([PROMPT])
        pipe.transformer(noised(packed((frame - mean) / deviation)), states, mask, level, [[(1, 6, 8)]])
    else:
        texts, _ = pipe.encode_prompt([PROMPT], do_classifier_free_guidance=False)
        pipe.transformer([noised(scaled(vae))[0][:, None]], 1 - level, texts)


@pytest.mark.parametrize("name", MAKERS)
def test_maps_are_those_of_a_trace_of_the_noised_image(made: Callable[[str], Any], name: str) -> None:
    pipe = made(name)
    family, settings = family_of(pipe), TraceSettings()
    image_pass = family.image_pass()
    assert image_pass is not None and image_pass.size(128, 96) == (128, 96)
    by_words = flow_maps(image_pass, IMAGE, PROMPT, CLASSES, [LEVEL], 3, settings)
    by_concepts = flow_maps(image_pass, IMAGE, PROMPT, CLASSES, [LEVEL], 3, settings, "concepts", ["road"])
    with (
        torch.no_grad(),
        AttentionTrace(pipe, CLASSES, prompts=[PROMPT], settings=settings) as words,
        ConceptTrace(pipe, CLASSES, background=["road"]) as concepts,
    ):
        look(name, pipe)
    for found, trace in ((by_words, words), (by_concepts, concepts)):
        (wanted,) = trace.maps()
        assert list(found) == list(wanted) == ["car", "bus"]
        for label, heat in wanted.items():
            assert heat.shape == (6, 8)
            np.testing.assert_allclose(found[label], heat, rtol=1e-3, atol=1e-7)
            assert np.ptp(heat) > 1e-5


def test_sizes(made: Callable[[str], Any]) -> None:
    image_pass = family_of(made("flux")).image_pass()
    assert [image_pass.size(*size) for size in ((128, 128), (4000, 4000), (640, 480))] == [
        (112, 112),
        (112, 112),
        (128, 96),
    ]
    pipe = untrained_z_image()
    assert not hasattr(pipe, "default_sample_size")
    assert family_of(pipe).image_pass().size(500, 500) == (1024, 1024)


def test_models_that_need_more_than_a_prompt(tokenizer: Any) -> None:
    flux = untrained_flux(tokenizer)
    flux.transformer.register_to_config(in_channels=24)  # as those have that fill
    editing = untrained_qwen_image(kind=QwenImageEditPipeline, processor=None)
    editing.processor = object()
    for pipe in (flux, editing, untrained_pipeline(tokenizer)):
        assert family_of(pipe).image_pass() is None
