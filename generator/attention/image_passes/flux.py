"""One pass of Flux.1 and Flux.2 at an image."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from diffucurate.generator.attention.image_passes.image_pass import ImagePass, at


class FluxPass(ImagePass):
    """One pass of Flux.1."""

    def latents(self, pixels: Tensor) -> Tensor:
        latents = self.scaled(pixels)
        return self.pipe._pack_latents(latents, *latents.shape)

    def text(self, prompt: str) -> Any:
        return self.pipe.encode_prompt([prompt], None, self.pipe._execution_device)

    def call(self, noised: Tensor, level: float, text: Any, size: tuple[int, int]) -> None:
        states, pooled, text_places = text
        places = self.pipe._prepare_latent_image_ids(1, *self.tokens(size), noised.device, noised.dtype)
        self.pipe.transformer(
            hidden_states=noised,
            timestep=at(level, noised),
            guidance=self.guidance_like(noised),
            pooled_projections=pooled,
            encoder_hidden_states=states,
            txt_ids=text_places,
            img_ids=places,
        )


class Flux2Pass(ImagePass):
    """One pass of Flux.2, dev or klein."""

    guidance: ClassVar[float] = 4.0

    def latents(self, pixels: Tensor) -> Tensor:
        latents = self.pipe._encode_vae_image(pixels, None)
        return self.pipe._pack_latents(latents).to(self.pipe.transformer.dtype)

    def text(self, prompt: str) -> Any:
        return self.pipe.encode_prompt([prompt], self.pipe._execution_device)

    def call(self, noised: Tensor, level: float, text: Any, size: tuple[int, int]) -> None:
        states, text_places = text
        places = self.pipe._prepare_latent_ids(torch.empty(1, 1, *self.tokens(size))).to(noised.device)
        self.pipe.transformer(
            hidden_states=noised,
            timestep=at(level, noised),
            guidance=self.guidance_like(noised),
            encoder_hidden_states=states,
            txt_ids=text_places,
            img_ids=places,
        )
