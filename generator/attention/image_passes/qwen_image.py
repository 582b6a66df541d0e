"""One pass of Qwen-Image at an image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.image_passes.image_pass import ImagePass, at


class QwenImagePass(ImagePass):
    """One pass of Qwen-Image, whose autoencoder is one for videos: an image is one frame."""

    def latents(self, pixels: Tensor) -> Tensor:
        config = self.pipe.vae.config
        latents = self.pipe.vae.encode(pixels[:, :, None]).latent_dist.mode()
        mean, deviation = (
            torch.tensor(values).view(1, -1, 1, 1, 1).to(latents)
            for values in (config.latents_mean, config.latents_std)
        )
        latents = ((latents - mean) / deviation)[:, :, 0].to(self.pipe.transformer.dtype)
        return self.pipe._pack_latents(latents, *latents.shape)

    def text(self, prompt: str) -> Any:
        return self.pipe.encode_prompt([prompt], self.pipe._execution_device)

    def call(self, noised: Tensor, level: float, text: Any, size: tuple[int, int]) -> None:
        states, mask = text
        self.pipe.transformer(
            hidden_states=noised,
            timestep=at(level, noised),
            encoder_hidden_states=states,
            encoder_hidden_states_mask=mask,
            img_shapes=[[(1, *self.tokens(size))]],
        )
