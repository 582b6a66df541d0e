"""Features of images by untrained pipelines of the real classes: their sizes and order, and no hooks left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from untrained import (
    untrained_flux,
    untrained_pipeline,
    untrained_pixart,
    untrained_sd3,
    untrained_tokenizer,
    untrained_xl,
)
from untrained_chat import untrained_flux2, untrained_qwen_image, untrained_z_image

from diffucurate.generator.detection.features import FeatureReader
from diffucurate.generator.errors import ModelError

IMAGES = [np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8) for seed in (0, 1)]

MAKERS = {
    "sd": untrained_pipeline,
    "xl": lambda tokenizer: untrained_xl(tokenizer, tokenizer),
    "sd3": untrained_sd3,
    "flux": untrained_flux,
    "flux2": lambda _: untrained_flux2(),
    "qwen-image": lambda _: untrained_qwen_image(),
    "z-image": lambda _: untrained_z_image(),
}


@pytest.mark.parametrize("name", MAKERS)
def test_features_of_each_family(name: str, tmp_path: Path) -> None:
    pipe = MAKERS[name](untrained_tokenizer(tmp_path))
    if not hasattr(pipe, "unet"):
        pipe.default_sample_size = 8
    reader = FeatureReader(pipe, 0.1)
    together = reader.read(IMAGES)
    sides = [each.shape[-1] for each in together]
    assert len(together) >= 3 and sides == sorted(sides) and all(each.shape[2] == each.shape[3] for each in together)
    assert all(each.dtype == torch.float32 and len(each) == 2 and each.isfinite().all() for each in together)
    for index, image in enumerate(IMAGES):  # an image's features depend on no other
        for whole, alone in zip(together, reader.read([image]), strict=True):
            assert torch.allclose(whole[index], alone[0], atol=1e-3)
    assert any(not torch.allclose(each[0], each[1], atol=1e-3) for each in together)


def test_a_transformers_tokens_lie_row_by_row(tmp_path: Path) -> None:
    """A change in the image's lower right corner changes the features there most."""
    pipe = untrained_sd3(untrained_tokenizer(tmp_path))
    pipe.default_sample_size = 16
    reader = FeatureReader(pipe, 0.05)
    plain = np.full((reader.side, reader.side, 3), 128, np.uint8)
    marked = plain.copy()
    marked[-reader.side // 4 :, -reader.side // 4 :] = (255, 0, 0)
    first, second = reader.read([plain])[0][0], reader.read([marked])[0][0]
    row, column = divmod(int((first - second).abs().sum(0).argmax()), first.shape[-1])
    assert row >= first.shape[-1] // 2 and column >= first.shape[-1] // 2


def test_hooks_are_gone_afterwards(tmp_path: Path) -> None:
    pipe = untrained_pipeline(untrained_tokenizer(tmp_path))
    FeatureReader(pipe, 0.1).read(IMAGES)
    assert not any(module._forward_hooks for module in pipe.unet.modules())


@pytest.mark.parametrize("kind", ["pixart", "inpainting"])
def test_models_that_need_more(kind: str, tmp_path: Path) -> None:
    pipe: Any = (
        untrained_pixart()
        if kind == "pixart"
        else untrained_pipeline(untrained_tokenizer(tmp_path), kind=StableDiffusionInpaintPipeline, inputs=9)
    )
    with pytest.raises(ModelError, match="use a "):
        FeatureReader(pipe, 0.1)
