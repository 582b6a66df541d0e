"""Example images prepared for training: latents, encoded once, with captions and masks.

Knows a pipeline's autoencoder; of words only their place in captions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.errors import ImageError
from diffucurate.generator.inversion.amount import check_count
from diffucurate.generator.inversion.settings import SLOT, Inversion
from diffucurate.generator.models.load import default_batch

#: Random crops take this share of an image's sides at least.
_LEAST_CROP = 0.6


@dataclass(frozen=True, eq=False)
class Example:
    """``image`` is (H, W, 3) uint8 RGB, ``mask`` (H, W) bool the object's pixels, None where unknown, and ``caption``
    says what the image shows, with ``{}`` for the word."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None = None
    caption: str | None = None

    def digest(self) -> str:
        """16 hex digits that differ when the example does."""
        parts = [self.image.tobytes(), b"" if self.mask is None else self.mask.tobytes(), (self.caption or "").encode()]
        return hashlib.sha256(b"|".join([str(self.image.shape).encode(), *parts])).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Prepared:
    """``means`` and ``deviations`` of the latents, (views, C, h, w); ``weights`` of the errors, (views, 1, h, w);
    ``captions`` per view, each with ``{}``, more than one where they are templates; ``boxes`` (views, 6): Stable
    Diffusion XL's size and crop conditions of a view, (height, width) of its image, (top, left) at the size that it was
    scaled to, and (height, width) of the view, in pixels."""

    means: Tensor
    deviations: Tensor
    weights: Tensor
    captions: tuple[tuple[str, ...], ...]
    boxes: Tensor

    def __len__(self) -> int:
        return len(self.means)

    def at(self, chosen: Tensor) -> Prepared:
        """Some of the views, by their indices."""
        there = chosen.to(self.means.device)
        captions = tuple(self.captions[index] for index in chosen.tolist())
        return Prepared(self.means[there], self.deviations[there], self.weights[there], captions, self.boxes[chosen])


def check_examples(examples: Sequence[Example]) -> None:
    """See that a word can be learned from these.

    Raises:
        ImageError: too few or too many, no RGB images, or a mask of another size or without a pixel.
    """
    check_count(len(examples))
    for index, example in enumerate(examples):
        if example.image.dtype != np.uint8 or example.image.ndim != 3 or example.image.shape[2] != 3:
            raise ImageError(
                f"example {index} is {example.image.dtype} {example.image.shape}, expected uint8 (H, W, 3)"
            )
        if example.mask is not None and (example.mask.shape != example.image.shape[:2] or not example.mask.any()):
            raise ImageError(f"the mask of example {index} is empty or has another size than its image")


@torch.no_grad()
def prepare(pipe: Any, examples: Sequence[Example], settings: Inversion, size: tuple[int, int]) -> Prepared:
    """Encode examples at (width, height) ``size``: each whole image in its own proportions, cut to the size's around
    the middle, its mirror image and its random crops, as the settings say."""
    views: list[tuple[NDArray[np.uint8], NDArray[np.float32], tuple[str, ...], tuple[int, ...]]] = []
    for index, example in enumerate(examples):
        captions = settings.templates if example.caption is None else (example.caption,)
        for box in _boxes(example, settings, size, np.random.default_rng((settings.seed, index))):
            image, weight = _cut(example, box, size, settings.outside)
            corner = (round(box[1] * size[1] / box[3]), round(box[0] * size[0] / box[2]))
            about = (*example.image.shape[:2], *corner, size[1], size[0])
            views.append((image, weight, captions, about))
            if settings.flip:
                views.append((image[:, ::-1], weight[:, ::-1], captions, about))
    means, deviations = [], []
    at_once = default_batch(pipe, size)
    for start in range(0, len(views), at_once):
        pixels = np.stack([image for image, *_ in views[start : start + at_once]])
        tensor = torch.from_numpy(pixels).to(pipe.device, pipe.vae.dtype).permute(0, 3, 1, 2) / 127.5 - 1
        latents = pipe.vae.encode(tensor).latent_dist
        means.append(latents.mean.float())
        deviations.append(latents.std.float())
    config = pipe.vae.config
    shift, scale = getattr(config, "shift_factor", None) or 0.0, config.scaling_factor
    mean = (torch.cat(means) - shift) * scale
    cells = (mean.shape[3], mean.shape[2])
    weights = np.stack([cv2.resize(weight, cells, interpolation=cv2.INTER_AREA) for _, weight, *_ in views])
    return Prepared(
        mean,
        torch.cat(deviations) * scale,
        torch.from_numpy(weights)[:, None].to(mean.device),
        tuple(captions for _, _, captions, _ in views),
        torch.tensor([about for *_, about in views]),
    )


def with_word(caption: str, word: str) -> str:
    """The caption as a prompt."""
    return caption.replace(SLOT, word)


def _boxes(
    example: Example, settings: Inversion, size: tuple[int, int], rng: np.random.Generator
) -> list[tuple[int, int, int, int]]:
    """(left, top, width, height) of what is cut out of an image, of the size's proportions as near as pixels allow."""
    height, width = example.image.shape[:2]
    fit = min(width / size[0], height / size[1])
    shares = [1.0, *rng.uniform(_LEAST_CROP, 1.0, settings.crops)]
    boxes = []
    for index, share in enumerate(shares):
        wide = max(1, min(width, round(size[0] * fit * share)))
        tall = max(1, min(height, round(size[1] * fit * share)))
        left, top = (0.5, 0.5) if index == 0 else rng.uniform(size=2)
        boxes.append((round(left * (width - wide)), round(top * (height - tall)), wide, tall))
    return boxes


def _cut(
    example: Example, box: tuple[int, int, int, int], size: tuple[int, int], outside: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The part of the image and what each of its pixels counts, both at ``size``."""
    left, top, wide, tall = box
    image = example.image[top : top + tall, left : left + wide]
    interpolation = cv2.INTER_AREA if wide > size[0] else cv2.INTER_CUBIC
    weight = np.ones(image.shape[:2], np.float32)
    if example.mask is not None:
        weight = np.where(example.mask[top : top + tall, left : left + wide], np.float32(1), np.float32(outside))
    return (
        np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8),
        np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32),
    )
