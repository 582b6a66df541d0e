"""The maps of images by words and, of the same passes, by learned tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.looking import look
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.token_contest import TokenContest
from diffucurate.generator.attention.trace import AttentionTrace

Heatmaps = dict[str, NDArray[np.float32]]


@torch.inference_mode()
def look_by_both(
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
) -> tuple[list[Heatmaps], list[Heatmaps]]:
    """Per image the raw maps by words and those by tokens, of a batch worked on at one (width, height) ``size``.

    Args:
        prompts: what guides the model; only classes that a prompt mentions have a map by words.
        classes: class -> the phrases that mean it.
        tokens: class -> (2, channels) start token and class token; without any, there are no maps by tokens.
        named: per image the classes whose tokens compete in it.
        timesteps, seed: as for ``look``.
        settings: which attention is read.
    """
    with ExitStack() as stack:
        traces = [stack.enter_context(AttentionTrace(pipe, classes, prompts=prompts, settings=settings))]
        if tokens:
            contest = TokenContest.of(tokens, named)
            traces.append(stack.enter_context(AttentionTrace(pipe, attribution=contest, settings=settings)))
        look(pipe, images, prompts, size, timesteps, seed)
        found = [trace.maps() for trace in traces]
    return found[0], found[1] if tokens else [{} for _ in images]
