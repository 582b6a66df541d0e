"""One pass of Stable Diffusion 3 or 3.5 at an image."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from diffucurate.generator.attention.image_passes.image_pass import ImagePass, at


class StableDiffusion3Pass(ImagePass):
    """One pass of Stable Diffusion 3 or 3.5. ``steps`` is the number of noise steps that it was trained with."""

    def __init__(self, pipe: Any, steps: float) -> None:
        super().__init__(pipe)
        self._steps = steps

    def latents(self, pixels: Tensor) -> Tensor:
        return self.scaled(pixels)

    def text(self, prompt: str) -> Any:
        states, _, pooled, _ = self.pipe.encode_prompt([prompt], None, None, do_classifier_free_guidance=False)
        return states, pooled

    def call(self, noised: Tensor, level: float, text: Any, size: tuple[int, int]) -> None:
        states, pooled = text
        self.pipe.transformer(
            hidden_states=noised,
            timestep=at(level * self._steps, noised),
            encoder_hidden_states=states,
            pooled_projections=pooled,
        )
