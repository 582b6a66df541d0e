"""What class tokens are fitted to: features of the pixels of images, and the share of each class in each pixel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.probe.image_latents import denoise_once, encode, working_size
from diffucurate.generator.attention.settings import QuerySettings, TraceSettings
from diffucurate.generator.attention.trace.attribution import attributable
from diffucurate.generator.attention.trace.queries import StoredQueries
from diffucurate.generator.attention.trace.token_contest import ContestSums, TokenContest
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.models.load import default_batch

#: Channels whose features are worked out at once, which bounds the memory.
_CHANNELS = 64

#: Class -> (H, W) bool, all pixels of the class in an image.
Masks: TypeAlias = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class TrainingView:
    """Images of one working size.

    Attributes:
        features: (images, channels, height, width), of which the scores of tokens are linear functions.
        shares: (images, 1 + classes, height, width), the share of each class in each pixel, that of no class first.
    """

    features: Tensor
    shares: Tensor


def training_views(
    pipe: Any,
    images: Sequence[NDArray[np.uint8]],
    masks: Sequence[Masks],
    labels: Sequence[str],
    prompts: Sequence[str],
    settings: TraceSettings,
    timesteps: Sequence[int],
    seed: int,
) -> list[TrainingView]:
    """The views of images that are denoised with their prompts at the given noise steps, on the CPU.

    ``labels`` are the classes in their order; ``masks`` holds for each image those of the classes that it shows.
    """
    keep = QuerySettings(noise=(0.0, 1.0), every=1, finest=settings.finest, coarsest=settings.coarsest)
    views = []
    for size, indices in batches(pipe, images):
        with torch.no_grad():
            with AttentionTrace(pipe, settings=settings, keep=keep) as trace:
                latents = encode(pipe, [images[k] for k in indices], size)
                denoise_once(pipe, latents, [prompts[k] for k in indices], timesteps, seed)
            features = _features(pipe, _averaged(trace.queries()), settings)
        size_of_maps = (features.shape[3], features.shape[2])
        shares = np.stack([_shares(masks[k], images[k].shape[:2], labels, size_of_maps) for k in indices])
        views.append(TrainingView(features, torch.from_numpy(shares)))
    return views


def _features(pipe: Any, queries: StoredQueries, settings: TraceSettings) -> Tensor:
    """(images, channels, height, width) on the CPU: a pixel's score is the product of these with the class token less
    the start token. They are the scores of tokens that have one channel each."""
    channels = attributable(pipe).channels
    unit, parts = torch.eye(channels), []
    for block in range(0, channels, _CHANNELS):
        pairs = {
            str(k): torch.stack([torch.zeros(channels), unit[k]]) for k in range(channels)[block : block + _CHANNELS]
        }
        sums, passes = queries.sums(pipe, TokenContest.of(pairs), settings)
        parts.append(cast(ContestSums, sums).scores(passes).cpu())
    return torch.cat(parts, dim=1)


def _averaged(queries: StoredQueries) -> StoredQueries:
    """One pass with the mean of all: scores are linear in the queries."""
    layers = {
        name: replace(layer, passes=[torch.stack([query.float() for query in layer.passes]).mean(dim=0)])
        for name, layer in queries.layers.items()
    }
    return StoredQueries(queries.model, queries.levels[:1], layers)


def _shares(masks: Masks, shape: tuple[int, int], labels: Sequence[str], size: tuple[int, int]) -> NDArray[np.float32]:
    """(1 + classes, height, width): each pixel's parts at (width, height) ``size``; they add up to 1."""
    planes = np.stack([np.float32(masks[label]) if label in masks else np.zeros(shape, np.float32) for label in labels])
    planes /= np.maximum(1, planes.sum(axis=0))  # a pixel of two classes is half of each
    planes = np.concatenate([1 - planes.sum(axis=0, keepdims=True), planes])
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])


def batches(pipe: Any, images: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Working sizes, and the indices of images that are denoised in one batch."""
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        by_size[working_size(pipe, image.shape[1], image.shape[0])].append(index)
    for size, indices in by_size.items():
        count = default_batch(pipe, size)
        for start in range(0, len(indices), count):
            yield size, indices[start : start + count]
