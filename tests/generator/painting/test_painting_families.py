"""Painting by models whose text encoder is a language model: each is called as its pipeline wants it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from untrained_chat import untrained_flux2, untrained_klein, untrained_qwen_image, untrained_z_image

from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.text.class_mentions import find_phrases

CLASSES = {"car": ["car", "sedan"], "bus": ["bus"]}
PROMPTS = ["a red car", "a bus and two sedans"]


def job(prompt: str, seed: int) -> Job:
    return Job.of(
        task="txt2img",
        prompt=prompt,
        negative_prompt="fog",
        phrases=find_phrases(prompt, CLASSES),
        attributes={},
        seed=seed,
        size=(128, 96),
        steps=2,
        guidance=4.0,
        model="any",
    )


@pytest.mark.parametrize(
    ("make", "own"),
    [
        (untrained_flux2, {"guidance_scale": 4.0}),  # neither dev nor klein has a negative prompt
        (untrained_klein, {"guidance_scale": 4.0}),
        (untrained_qwen_image, {"true_cfg_scale": 4.0, "negative_prompt": ["fog", "fog"]}),
        (untrained_z_image, {"guidance_scale": 4.0, "negative_prompt": ["fog", "fog"]}),
    ],
)
def test_images_and_maps(make: Callable[[], Any], own: dict[str, Any]) -> None:
    pipe = make()
    found = list(paint([job(prompt, seed) for seed, prompt in enumerate(PROMPTS)], pipe=pipe, batch_size=2))
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    size = {"width": 128, "height": 96, "num_inference_steps": 2, "output_type": "np"}
    with AttentionTrace(pipe, CLASSES) as trace:
        images = pipe(prompt=list(PROMPTS), generator=generators, **size, **own).images
    for painting, image, maps in zip(found, images, trace.maps(), strict=True):
        assert np.array_equal(painting.image, (image * 255).round().astype(np.uint8))
        assert painting.heatmaps.keys() == maps.keys() != set()
        for label, heat in maps.items():
            assert np.array_equal(painting.heatmaps[label], heat)
