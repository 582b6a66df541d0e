"""Images that are painted after others: the maps are those of the painted image alone, or the pipeline is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from attention_reference import assert_same, recorded
from chat_families import CLASSES, FAMILIES, LENGTHS, PROMPTS, TOKENS, expected, paint, placed
from diffusers import Flux2KleinKVPipeline, FluxKontextPipeline, QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from PIL import Image
from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor
from untrained import untrained_flux
from untrained_chat import (
    untrained_klein,
    untrained_qwen_image,
    untrained_qwen_tokenizer,
    untrained_z_image,
)

from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import ModelError


@pytest.fixture(scope="module")
def made() -> Callable[[str], Any]:
    """The pipeline of a family, one for all tests that leave it as it was."""
    return cache(lambda name: FAMILIES[name].make())


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 64, 3), np.uint8))


@pytest.mark.parametrize("name", ["flux2", "klein"])
def test_reference_images(made: Callable[[str], Any], name: str) -> None:
    """Their tokens come after the image's and take part in the softmax; maps are those of the image alone."""
    pipe, case = made(name), FAMILIES[name]
    options = {**case.options, "guidance_scale": 1.0, "image": [PICTURE, PICTURE]}
    plain = paint(pipe, **options)
    with recorded(pipe, case.layers) as calls, AttentionTrace(pipe, CLASSES) as trace:
        traced = paint(pipe, **options)
    assert torch.equal(traced, plain)
    assert calls[0]["hidden_states"].shape[1] == 48 + 2 * 24
    assert_same(trace.maps(), expected(calls, slice(2), placed(name, TOKENS, LENGTHS)))


def test_images_that_are_edited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Qwen-Image-Edit the prompt comes after its pictures, and their tokens after those of the image."""
    for size in ("CONDITION_IMAGE_SIZE", "VAE_IMAGE_SIZE"):  # what images are brought to
        monkeypatch.setattr(pipeline_qwenimage_edit_plus, size, 64 * 96)
    tokenizer = untrained_qwen_tokenizer()
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(patch_size=14, merge_size=2, min_pixels=28**2, max_pixels=56**2),
        tokenizer,
        Qwen2VLVideoProcessor(),
    )
    pipe = untrained_qwen_image(kind=QwenImageEditPlusPipeline, processor=processor)
    options = {"image": [PICTURE], "num_inference_steps": 1}
    prompt = PROMPTS[:1]
    plain = paint(pipe, prompt, **options)
    with recorded(pipe, ("transformer_blocks.1.attn",)) as calls, AttentionTrace(pipe, CLASSES) as trace:
        traced = paint(pipe, prompt, **options)
    assert torch.equal(traced, plain)
    text, image = calls[0]["encoder_hidden_states"].shape[1], calls[0]["hidden_states"].shape[1]
    assert image > 48
    start = text - len(tokenizer("<|im_end|>\n<|im_start|>assistant\n").input_ids) - LENGTHS[0]
    wanted = [{label: [start + k for k in positions] for label, positions in TOKENS[0].items()}]
    assert_same(trace.maps(), expected(calls, slice(1), wanted))
    with (
        pytest.raises(ModelError, match="writes images into its prompts"),
        AttentionTrace(pipe, CLASSES, prompts=prompt),
    ):
        paint(pipe, prompt, **options)


def test_what_cannot_be_traced_is_refused(made: Callable[[str], Any]) -> None:
    pipe = untrained_klein(kind=Flux2KleinKVPipeline)
    with pytest.raises(ModelError, match="keeps the keys of its reference images"), AttentionTrace(pipe, CLASSES):
        paint(pipe, **FAMILIES["klein"].options, image=[PICTURE])
    layered = untrained_qwen_image()
    layered.transformer.register_to_config(use_layer3d_rope=True)
    with pytest.raises(ModelError, match="several layers of one image"):
        AttentionTrace(layered, CLASSES)
    omni = untrained_z_image()
    omni.siglip = object()
    with pytest.raises(ModelError, match="puts images between the words"):
        AttentionTrace(omni, CLASSES)


def test_kontext(tokenizer: Any) -> None:
    """Flux.1 Kontext: "_a _red _car _and _a _pi ano _at _night", T5's tokens from the first on."""
    flux = untrained_flux(tokenizer)
    pipe = FluxKontextPipeline(**{name: flux.components[name] for name in FluxKontextPipeline._get_signature_types()})
    pipe.set_progress_bar_config(disable=True)
    options = {"max_sequence_length": 30, "image": PICTURE, "max_area": 128 * 96, "_auto_resize": False}
    plain = paint(pipe, PROMPTS[:1], **options)
    settings = TraceSettings()  # a plain mean, not GoCA
    with (
        recorded(pipe, ("transformer_blocks.3.attn",)) as calls,
        AttentionTrace(pipe, CLASSES, settings=settings) as trace,
    ):
        traced = paint(pipe, PROMPTS[:1], **options)
    assert torch.equal(traced, plain)
    assert calls[0]["hidden_states"].shape[1] == 48 + 24
    assert_same(trace.maps(), expected(calls, slice(1), [{"car": [2], "piano": [5, 6]}]))
