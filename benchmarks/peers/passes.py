"""Passes of images through a diffusion model for a peer to watch, noised exactly as AttentionSource does it.

The same latents, noise and steps for all methods: what differs is what they read, and the text the model is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from numpy.typing import NDArray
from peers.explicit_attention import Watch, cross_attention, self_attention, watched
from torch import Tensor


@torch.inference_mode()
def noised(pipe: Any, images: Sequence[NDArray[np.uint8]], timesteps: Sequence[int], seed: int = 0) -> list[Tensor]:
    """Per step the latents of (H, W, 3) images of the model's own size, with the step's noise."""
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(pipe.device, pipe.vae.dtype)
    latents = pipe.vae.encode(pixels / 127.5 - 1).latent_dist.mode() * pipe.vae.config.scaling_factor
    schedule = DDPMScheduler.from_config(pipe.scheduler.config)
    generator = torch.Generator("cpu").manual_seed(seed)
    each = []
    for step in timesteps:
        noise = torch.randn(latents.shape[1:], generator=generator).to(latents)
        each.append(schedule.add_noise(latents, noise.expand_as(latents), torch.tensor([step])))
    return each


@torch.inference_mode()
def encoded(pipe: Any, texts: Sequence[str]) -> Tensor:
    """(texts, tokens, channels)."""
    return pipe.encode_prompt(list(texts), pipe.device, 1, False)[0]


@torch.inference_mode()
def denoise_once(
    pipe: Any,
    latents: Sequence[Tensor],
    timesteps: Sequence[int],
    context: Tensor,
    watches: Sequence[Watch],
    *,
    among_pixels: bool = False,
) -> None:
    """One pass per step, whose cross-attention, and self-attention if asked for, all ``watches`` see."""

    def watch(layer: str, query: Tensor, shares: Tensor) -> None:
        for each in watches:
            each(layer, query, shares)

    layers = cross_attention(pipe.unet) + (self_attention(pipe.unet) if among_pixels else [])
    with watched(pipe.unet, layers, watch):
        for noisy, step in zip(latents, timesteps, strict=True):
            pipe.unet(noisy, step, encoder_hidden_states=context)
