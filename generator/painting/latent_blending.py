"""Inpainting with a model that was never made for it: after each step the init image is blended in around the region.

Blended latent diffusion (Avrahami et al. 2023): what lies outside of the region is at every step the init image with as
much noise as that step leaves, so that the region fits its surroundings. diffusers does this itself for latents of 4
channels; here it is for UNets with latents of any width, such as the built-in model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.painting.init_images import InitPixels, covered


class Blend:
    """Blends a batch of init images in, as a pipeline's ``callback_on_step_end``.

    ``noise`` is (images, channels, h, w), what a text-to-image pipeline starts from: each job's own, by its seed. An
    image-to-image pipeline draws the same from the jobs' generators.
    """

    def __init__(self, pipe: Any, jobs: Sequence[Job], init_images: Sequence[InitPixels]) -> None:
        vae, device = pipe.vae, pipe._execution_device
        pixels = pipe.image_processor.preprocess([Image.fromarray(init_image.image) for init_image in init_images])
        with torch.no_grad():
            encoded = [vae.encode(image[None].to(device, vae.dtype)).latent_dist.mode() for image in pixels]
        self._latents = torch.cat(encoded) * vae.config.scaling_factor
        # An image-to-image pipeline draws a sample of the autoencoder's latents first.
        before = 0 if jobs[0].source is None or jobs[0].source.strength == 1 else 1
        self.noise = torch.cat([_noise(job.seed, self._latents[:1].shape, before) for job in jobs]).to(self._latents)
        height, width = self._latents.shape[-2:]
        masks = [covered(init_image.mask, (width, height)) for init_image in init_images if init_image.mask is not None]
        self._painted = torch.from_numpy(np.stack(masks))[:, None].to(device)

    def __call__(self, pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Tensor]:
        """The latents with the init image around the region, noisy as the next step expects them."""
        timesteps = pipe.scheduler.timesteps
        following = len(timesteps) - pipe.num_timesteps + step + 1
        around = self._latents
        if following < len(timesteps):
            level = timesteps[following].repeat(len(around))
            around = pipe.scheduler.add_noise(around, self.noise, level)
        latents = values["latents"]
        return {"latents": torch.where(self._painted, latents, around.to(latents))}


def _noise(seed: int, shape: torch.Size, before: int) -> Tensor:
    """The job's noise: the draw of its generator after ``before`` others."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return [torch.randn(shape, generator=generator) for _ in range(before + 1)][-1]
