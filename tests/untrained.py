"""Untrained pipelines of the real classes, small enough to paint in milliseconds."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from diffucurate.generator.tiny.words import CONTEXT_LENGTH, write_tokenizer_files


def untrained_tokenizer(folder: Path, context: int = CONTEXT_LENGTH) -> CLIPTokenizer:
    """The tiny world's tokenizer, its files in ``folder``, for prompts of up to ``context`` tokens."""
    write_tokenizer_files(folder)
    return CLIPTokenizer.from_pretrained(folder, model_max_length=context)


def untrained_pipeline(
    tokenizer: CLIPTokenizer, *, channels: tuple[int, ...] = (32, 64), width: int = 32, side: int = 128
) -> StableDiffusionPipeline:
    """Cross-attention at every level (of ``channels``) over 16 x 16 latents of ``side`` px images."""
    torch.manual_seed(0)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=16, block_out_channels=channels, layers_per_block=1, cross_attention_dim=width,
        down_block_types=("CrossAttnDownBlock2D",) * len(channels),
        up_block_types=("CrossAttnUpBlock2D",) * len(channels), attention_head_dim=4, norm_num_groups=8,
    )  # fmt: skip
    for name, parameter in unet.named_parameters():
        if ".attn2.to_q" in name or ".attn2.to_k" in name:
            torch.nn.init.normal_(parameter, std=0.6)  # untrained attention is flat: nothing would show in it
    levels = (side // 16).bit_length()
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=[8] * levels, norm_num_groups=4, sample_size=side, mid_block_add_attention=False,
    )  # fmt: skip
    pipe = StableDiffusionPipeline(
        vae, text_encoder, tokenizer, unet, DDIMScheduler(steps_offset=1, clip_sample=False), None, None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe.to("cpu")
