"""Labels from a diffusion model's attention: of images it painted, from their maps, and of any other image.

An image that the model did not paint is encoded, its latent noised to a middle step, and the model's attention
read while it takes that noise out again, guided by the image's prompt or by the names of the classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import DDPMScheduler
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention import AttentionTrace, TraceSettings
from diffucurate.generator.errors import LabelError, ModelError, RecipeError
from diffucurate.generator.labels.make import labels_from_heatmaps
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings
from diffucurate.generator.models import default_batch, load_pipeline

Heatmaps = dict[str, NDArray[np.float32]]


class AttentionSource:
    """Labels by attention.

    Args:
        classes: class -> the phrases that mean it in a prompt; the first stands for it where there is no prompt.
        model: for images painted elsewhere; see ``load_pipeline``. Loaded when it is first needed.
        device: for the model.
        settings: how maps become labels.
        trace: how attention becomes maps. Its range of noise does not apply: ``timesteps`` say it here.
        timesteps: the noise steps at which an image is looked at, one pass through the model each. Low noise
            finds most: the objects are still there to be recognised.
        seed: of the noise.
        batch_size: images at once; by default what usually fits the device.

    Raises:
        RecipeError: no classes, a class without phrases, or no timesteps.
    """

    name = "attention"

    def __init__(
        self,
        classes: Mapping[str, Sequence[str]],
        model: str = "tiny",
        device: str | None = None,
        settings: LabelSettings = DEFAULT_SETTINGS,
        *,
        trace: TraceSettings | None = None,
        timesteps: Sequence[int] = (100, 200, 300),
        seed: int = 0,
        batch_size: int | None = None,
    ) -> None:
        if not classes or not all(classes.values()):
            raise RecipeError("classes", dict(classes), "name at least one class, each with at least one phrase")
        if not timesteps:
            raise RecipeError("timesteps", list(timesteps), "name at least one noise step, such as 200")
        self.classes = {label: tuple(phrases) for label, phrases in classes.items()}
        self.settings = settings
        self._model, self._device = model, device
        self._trace = replace(trace or TraceSettings(), noise=(0.0, 1.0))
        self._timesteps, self._seed, self._batch_size = tuple(timesteps), seed, batch_size

    def from_maps(self, heatmaps: Mapping[str, NDArray[np.floating]], image: NDArray[np.uint8]) -> Labels:
        """Labels from raw class maps of an (H, W, 3) RGB image that were kept: no model is loaded."""
        return labels_from_heatmaps(heatmaps, image.shape[:2], tuple(self.classes), self.settings, image)

    def label(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str | None] | None = None) -> list[Labels]:
        """Label images that the model need not have painted. Arguments and errors as for ``heatmaps``."""
        found = self.heatmaps(images, prompts)
        return [self.from_maps(maps, image) for maps, image in zip(found, images, strict=True)]

    def heatmaps(
        self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str | None] | None = None
    ) -> list[Heatmaps]:
        """The raw class maps of images that the model need not have painted.

        Args:
            images: (H, W, 3) uint8 RGB, of any sizes.
            prompts: what each image shows, None where nobody knows; only classes that a prompt mentions are
                looked for. By default none is known.

        Returns:
            Per image class -> (h, w) float32 >= 0, at the attention's own resolution. The same for the same
            images, prompts and seed, rounding aside, however they are batched.

        Raises:
            LabelError: an image of another shape or dtype, or another number of prompts than of images.
            ModelError: a model that cannot be loaded, traced or used for this.
            RecipeError: timesteps beyond the model's schedule.
        """
        for index, image in enumerate(images):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                raise LabelError(f"image {index} is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        prompts = [None] * len(images) if prompts is None else list(prompts)
        if len(prompts) != len(images):
            raise LabelError(f"{len(prompts)} prompts were given for {len(images)} images; give one each, or None")
        pipe: Any = load_pipeline(self._model, self._device)
        self._check(pipe)

        heatmaps: list[Heatmaps] = [{} for _ in images]
        rows: dict[tuple[int, int], list[tuple[int, str]]] = defaultdict(list)
        names = class_prompts(self.classes, pipe.tokenizer)
        for index, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            size = working_size(pipe, image.shape[1], image.shape[0])
            rows[size] += [(index, text) for text in ([prompt] if prompt is not None else names)]
        for size, same_size in rows.items():
            count = self._batch_size or default_batch(pipe, size)
            for start in range(0, len(same_size), count):
                batch = same_size[start : start + count]
                found = self._look(pipe, [images[index] for index, _ in batch], [text for _, text in batch], size)
                for (index, _), maps in zip(batch, found, strict=True):
                    heatmaps[index].update(maps)
        return heatmaps

    def _check(self, pipe: Any) -> None:
        steps = int(pipe.scheduler.config.get("num_train_timesteps", 1000))
        if not all(0 <= step < steps for step in self._timesteps):
            raise RecipeError("timesteps", list(self._timesteps), f"this model's noise steps go from 0 to {steps - 1}")
        unet = getattr(pipe, "unet", None)
        if (
            unet is None
            or unet.config.get("addition_embed_type") is not None
            or unet.config.in_channels != pipe.vae.config.latent_channels
        ):
            raise ModelError(
                f"{type(pipe).__name__} needs more than a prompt to look at an image; "
                "to label images painted elsewhere use a Stable Diffusion 1.x or 2.x text-to-image model"
            )

    @torch.inference_mode()
    def _look(
        self, pipe: Any, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str], size: tuple[int, int]
    ) -> list[Heatmaps]:
        """The maps of a batch of images that are all worked on at one size."""
        latents = _encode(pipe, [_resized(image, size) for image in images])
        context = pipe.encode_prompt(list(prompts), pipe.device, 1, False)[0]
        # Noise is added as in training, whatever sampler the pipeline is set to.
        schedule = DDPMScheduler.from_config(pipe.scheduler.config)
        generators = [torch.Generator("cpu").manual_seed(self._seed) for _ in images]
        with AttentionTrace(pipe, self.classes, prompts=prompts, settings=self._trace) as trace:
            for step in self._timesteps:
                noise = torch.stack([torch.randn(latents.shape[1:], generator=generator) for generator in generators])
                steps = torch.full((len(images),), step, device=pipe.device)
                noisy = schedule.add_noise(latents, noise.to(latents), steps)
                pipe.unet(noisy, steps, encoder_hidden_states=context)
            return trace.maps()


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
    """The (width, height) at which the model looks at an image of this width and height.

    As many pixels as the model was trained on, in the image's own proportions, to multiples of what the UNet
    can halve without a rest.
    """
    native = pipe.unet.config.sample_size
    sides = native if isinstance(native, Sequence) else (native, native)
    pixels = sides[0] * sides[1] * pipe.vae_scale_factor**2
    unit = pipe.vae_scale_factor * 2 ** (len(pipe.unet.config.down_block_types) - 1)
    scale = (pixels / (width * height)) ** 0.5
    return max(1, round(width * scale / unit)) * unit, max(1, round(height * scale / unit)) * unit


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _encode(pipe: Any, images: Sequence[NDArray[np.uint8]]) -> Tensor:
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(pipe.device, pipe.vae.dtype)
    return pipe.vae.encode(pixels / 127.5 - 1).latent_dist.mode() * pipe.vae.config.scaling_factor
