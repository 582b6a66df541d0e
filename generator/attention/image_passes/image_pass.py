"""One pass of a rectified-flow transformer at an image: what its families have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

#: The side of the square images that a pipeline paints which does not say its own, in pixels.
_USUAL = 1024


class ImagePass(ABC):
    """Encodes images and prompts, and calls the transformer once with a noised image."""

    #: What a model with distilled guidance is told: its pipeline's own default.
    guidance: ClassVar[float] = 3.5

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) at which an image of this width and height is looked at: as many pixels as the model
        paints by default, in the image's own proportions, to multiples of what is one token."""
        coarser = self.pipe.vae_scale_factor
        side = getattr(self.pipe, "default_sample_size", _USUAL // coarser) * coarser
        unit, scale = 2 * coarser, side / (width * height) ** 0.5
        return max(1, round(width * scale / unit)) * unit, max(1, round(height * scale / unit)) * unit

    @abstractmethod
    def latents(self, pixels: Tensor) -> Tensor:
        """An image without noise, as the transformer is given images, of (1, 3, height, width) pixels in [-1, 1]."""

    @abstractmethod
    def text(self, prompt: str) -> Any:
        """A prompt as ``call`` takes it."""

    @abstractmethod
    def call(self, noised: Tensor, level: float, text: Any, size: tuple[int, int]) -> None:
        """Call the transformer.

        Args:
            noised: ``latents`` with noise.
            level: that of the noise, as a share of the schedule.
            text: what guides the model.
            size: the (width, height) of the image in pixels.
        """

    def scaled(self, pixels: Tensor) -> Tensor:
        """The autoencoder's latents, shifted and scaled as its configuration says, in the transformer's precision."""
        config = self.pipe.vae.config
        latents = self.pipe.vae.encode(pixels).latent_dist.mode()
        return ((latents - config.shift_factor) * config.scaling_factor).to(self.pipe.transformer.dtype)

    def tokens(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the image in tokens."""
        unit = 2 * self.pipe.vae_scale_factor
        return size[1] // unit, size[0] // unit

    def guidance_like(self, like: Tensor) -> Tensor | None:
        """The guidance that the model is told; None where it takes none."""
        return torch.full((1,), self.guidance).to(like) if self.pipe.transformer.config.guidance_embeds else None


def at(level: float, like: Tensor) -> Tensor:
    """(1,), a noise level of the dtype and device of a tensor."""
    return torch.full((1,), level).to(like)
