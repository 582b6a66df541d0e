"""One pass of Z-Image at an image."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from diffucurate.generator.attention.image_passes.image_pass import ImagePass, at


class ZImagePass(ImagePass):
    """One pass of Z-Image, which counts time from noise to image."""

    def latents(self, pixels: Tensor) -> Tensor:
        return self.scaled(pixels)

    def text(self, prompt: str) -> Any:
        return self.pipe.encode_prompt([prompt], device=self.pipe._execution_device, do_classifier_free_guidance=False)[
            0
        ]

    def call(self, noised: Tensor, level: float, text: Any, size: tuple[int, int]) -> None:
        self.pipe.transformer([noised[0][:, None]], at(1 - level, noised), text)
