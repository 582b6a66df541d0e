"""Untrained pipelines of the real classes, small enough to run in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from diffucurate.generator.tiny.words import CONTEXT_LENGTH, write_tokenizer_files


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # these models are too small to share


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer_files(folder)
    return CLIPTokenizer.from_pretrained(folder, model_max_length=CONTEXT_LENGTH)


@pytest.fixture(scope="session")
def make_pipe(tokenizer: CLIPTokenizer) -> Callable[..., StableDiffusionPipeline]:
    """A pipeline with two (or more) levels of cross-attention over 16 x 16 latents of 128 px images."""

    def make(channels: tuple[int, ...] = (32, 64), context: int | None = None) -> StableDiffusionPipeline:
        torch.manual_seed(0)
        own: Any = tokenizer
        if context is not None:
            own = CLIPTokenizer.from_pretrained(Path(tokenizer.name_or_path), model_max_length=context)
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(own), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                max_position_embeddings=own.model_max_length, bos_token_id=own.bos_token_id,
                eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id,
            )
        )  # fmt: skip
        unet = UNet2DConditionModel(
            sample_size=16, block_out_channels=channels, layers_per_block=1, cross_attention_dim=32,
            down_block_types=("CrossAttnDownBlock2D",) * len(channels),
            up_block_types=("CrossAttnUpBlock2D",) * len(channels), attention_head_dim=4, norm_num_groups=8,
        )  # fmt: skip
        for name, parameter in unet.named_parameters():
            if ".attn2.to_q" in name or ".attn2.to_k" in name:
                torch.nn.init.normal_(parameter, std=0.6)  # untrained attention is flat: nothing would show in it
        vae = AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=[8, 8, 8, 8], norm_num_groups=4, sample_size=128, mid_block_add_attention=False,
        )  # fmt: skip
        pipe = StableDiffusionPipeline(
            vae, text_encoder, own, unet, DDIMScheduler(steps_offset=1, clip_sample=False), None, None,
            requires_safety_checker=False,
        )  # fmt: skip
        pipe.set_progress_bar_config(disable=True)
        return pipe.to("cpu")

    return make


@pytest.fixture
def pipe(make_pipe: Callable[..., StableDiffusionPipeline]) -> StableDiffusionPipeline:
    return make_pipe()
