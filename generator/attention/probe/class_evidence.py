"""The evidence of a model for the classes of an image that it denoises: by words, by learned tokens, by contrast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.probe.contrast import contrasts, smoothed
from diffucurate.generator.attention.probe.image_latents import denoise_once, encode
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.token_contest import TokenContest
from diffucurate.generator.attention.trace.trace import AttentionTrace

Heatmaps = dict[str, NDArray[np.float32]]


class Evidence(NamedTuple):
    """Of one image, class -> (h, w) float32 map >= 0: the attention that its words get, the share of its token among
    those that compete, and its contrast, ``smoothed``."""

    words: Heatmaps
    tokens: Heatmaps
    contrast: Heatmaps


@torch.inference_mode()
def gather(
    pipe: Any,
    images: Sequence[NDArray[np.uint8]],
    prompts: Sequence[str],
    classes: Mapping[str, Sequence[str]],
    tokens: Mapping[str, Tensor],
    named: Sequence[Sequence[str]],
    size: tuple[int, int],
    timesteps: Sequence[int],
    seed: int,
    settings: TraceSettings,
    contrast: bool,
) -> list[Evidence]:
    """The evidence of a batch of images worked on at one (width, height) ``size``.

    Args:
        prompts: what guides the model; only classes that a prompt mentions have maps by words and by contrast.
        classes: class -> the phrases that mean it.
        tokens: class -> (2, channels) start token and class token; without any, there are no maps by tokens.
        named: per image the classes whose tokens compete in it.
        timesteps, seed: as for ``denoise_once``.
        settings: which attention is read.
        contrast: whether to compute it, which takes as many passes again for each class of a prompt.
    """
    latents = encode(pipe, images, size)
    with ExitStack() as stack:
        traces = [stack.enter_context(AttentionTrace(pipe, classes, prompts=prompts, settings=settings))]
        if tokens:
            contest = TokenContest.of(tokens, named)
            traces.append(stack.enter_context(AttentionTrace(pipe, attribution=contest, settings=settings)))
        predicted = denoise_once(pipe, latents, prompts, timesteps, seed)
        maps_of_traces = [trace.maps() for trace in traces]
    none: list[Heatmaps] = [{} for _ in images]
    sharp = contrasts(pipe, latents, prompts, predicted, classes, timesteps, seed) if contrast else none
    second = [
        {label: smoothed(maps[label], steady[label]) for label in maps}
        for maps, steady in zip(sharp, traces[0].refined(sharp), strict=True)
    ]
    by_tokens = maps_of_traces[1] if tokens else none
    return [Evidence(*maps) for maps in zip(maps_of_traces[0], by_tokens, second, strict=True)]
