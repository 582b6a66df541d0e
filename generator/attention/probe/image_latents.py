"""Denoises images that the model need not have painted: each is encoded, noised, and given to the model once per step.
A trace around that reads the attention. Knows neither classes nor maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import DDPMScheduler
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.families import family_of
from diffucurate.generator.errors import InvalidSetting, LabelError, ModelError


def check_images(images: Sequence[NDArray[np.uint8]]) -> None:
    """See that all are (H, W, 3) uint8.

    Raises:
        LabelError: the first that is not.
    """
    for index, image in enumerate(images):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise LabelError(f"image {index} is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")


def noise_steps(pipe: Any) -> int:
    """The number of noise steps that a pipeline's model was trained with."""
    return int(pipe.scheduler.config.get("num_train_timesteps", 1000))


def check_timesteps(pipe: Any, timesteps: Sequence[int]) -> None:
    """See that a pipeline's model can denoise images at these noise steps: a UNet here, a rectified-flow
    transformer in ``flow_images``.

    Raises:
        InvalidSetting: timesteps beyond the model's schedule.
        ModelError: a model that needs more than noise, step and prompt.
    """
    steps = noise_steps(pipe)
    if not all(0 <= step < steps for step in timesteps):
        raise InvalidSetting("timesteps", list(timesteps), f"this model's noise steps go from 0 to {steps - 1}")
    unet = getattr(pipe, "unet", None)
    if unet is None and family_of(pipe).image_pass() is not None:
        return
    if (
        unet is None
        or unet.config.get("addition_embed_type") is not None
        or unet.config.in_channels != pipe.vae.config.latent_channels
    ):
        raise ModelError(
            f"{type(pipe).__name__} needs more than a prompt to look at an image; "
            "to label images painted elsewhere use a text-to-image model: Stable Diffusion 1.x, 2.x, 3 or 3.5, Flux.1, "
            "Flux.2, Qwen-Image or Z-Image"
        )


def encode(pipe: Any, images: Sequence[NDArray[np.uint8]], size: tuple[int, int]) -> Tensor:
    """(images, channels, h, w): the latents of images resized to (width, height) ``size``, without noise."""
    pixels = torch.from_numpy(np.stack([resized_image(image, size) for image in images])).permute(0, 3, 1, 2)
    pixels = pixels.to(pipe._execution_device, pipe.vae.dtype)
    return pipe.vae.encode(pixels / 127.5 - 1).latent_dist.mode() * pipe.vae.config.scaling_factor


def denoise_once(
    pipe: Any, latents: Tensor, prompts: Sequence[str], timesteps: Sequence[int], seed: int
) -> list[Tensor]:
    """One pass through the model at each noise step, of a batch of latents.

    Each image is guided by its prompt; its noise depends on ``seed`` alone.

    Returns:
        What the model predicts at each step, in the shape of ``latents``.
    """
    context = pipe.encode_prompt(list(prompts), pipe._execution_device, 1, False)[0]
    # Noise is added as in training, whatever sampler the pipeline is set to.
    schedule = DDPMScheduler.from_config(pipe.scheduler.config)
    generator, predicted = torch.Generator("cpu").manual_seed(seed), []
    for step in timesteps:
        noise = torch.randn(latents.shape[1:], generator=generator).to(latents).expand_as(latents)
        steps = torch.full((len(latents),), step, device=pipe._execution_device)
        noisy = schedule.add_noise(latents, noise, steps)
        predicted.append(pipe.unet(noisy, steps, encoder_hidden_states=context).sample)
    return predicted


def class_prompts(classes: Mapping[str, Sequence[str]], tokenizer: Any) -> list[str]:
    """Prompts that name every class once: "a photo of a car, a bus and a person".

    More than one where the names do not fit the tokenizer's context.
    """

    def cost(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    room = tokenizer.model_max_length - 2 - cost("a photo of")
    groups: list[list[str]] = [[]]
    left = room
    for phrases in classes.values():
        noun = f"{'an' if phrases[0][:1].lower() in 'aeiou' else 'a'} {phrases[0]}"
        if groups[-1] and cost(noun + ",") > left:
            groups.append([])
            left = room
        groups[-1].append(noun)
        left -= cost(noun + ",")
    return [
        "a photo of " + (f"{', '.join(nouns[:-1])} and {nouns[-1]}" if len(nouns) > 1 else nouns[0]) for nouns in groups
    ]


def working_size(pipe: Any, width: int, height: int) -> tuple[int, int]:
    """The (width, height) at which the model denoises an image of this width and height.

    As many pixels as the model was trained on, in the image's own proportions, to multiples of what the UNet
    can halve without a rest.
    """
    native = pipe.unet.config.sample_size
    sides = native if isinstance(native, Sequence) else (native, native)
    pixels = sides[0] * sides[1] * pipe.vae_scale_factor**2
    unit = pipe.vae_scale_factor * 2 ** (len(pipe.unet.config.down_block_types) - 1)
    scale = (pixels / (width * height)) ** 0.5
    return max(1, round(width * scale / unit)) * unit, max(1, round(height * scale / unit)) * unit


def resized_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An (H, W, 3) image at (width, height) ``size``."""
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)
