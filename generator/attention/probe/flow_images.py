"""Class maps by a rectified-flow transformer of an image that it need not have painted: by the words of a prompt, or by
concepts.

The image is encoded, noised to one level as in training (a straight line from image to noise), and given to the model
once for each level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from diffucurate.generator.attention.concepts import ConceptTrace
from diffucurate.generator.attention.image_passes.image_pass import ImagePass
from diffucurate.generator.attention.probe.image_latents import resized_image
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.trace import AttentionTrace

Way = Literal["words", "concepts"]

#: The noise of the one pass where the model's own trace names none, as a share of the schedule: GoCA's of Flux.1. For
#: other models no figure stands behind it.
LEVEL = 0.15


@torch.inference_mode()
def flow_maps(
    image_pass: ImagePass,
    image: NDArray[np.uint8],
    prompt: str,
    classes: Mapping[str, Sequence[str]],
    levels: Sequence[float],
    seed: int,
    settings: TraceSettings,
    way: Way = "words",
    background: Sequence[str] = (),
) -> dict[str, NDArray[np.float32]]:
    """Class -> (h, w) float32 map >= 0 of an (H, W, 3) image.

    Args:
        image_pass: of the pipeline's family (``Family.image_pass``).
        prompt: what guides the model; by words only classes that it mentions have maps.
        classes: class -> the phrases that mean it.
        levels: noise levels as shares of the schedule, one pass through the model each.
        seed: of the noise.
        settings: of a trace by words; of them ``depth`` applies to concepts too.
        way: "words", or "concepts": the first phrase of each class is a concept, whatever the prompt says.
        background: concepts that compete for the pixels and get no map.

    Raises:
        ModelError: a pipeline without the text encoder of its words.
        InvalidSetting: fewer than two concepts.
    """
    pipe = image_pass.pipe
    size = image_pass.size(image.shape[1], image.shape[0])
    pixels = torch.from_numpy(resized_image(image, size)).permute(2, 0, 1)[None]
    latents = image_pass.latents(pixels.to(pipe._execution_device, pipe.vae.dtype) / 127.5 - 1)
    trace: AttentionTrace | ConceptTrace
    if way == "concepts":
        own = TraceSettings() if settings.aggregated else settings  # all blocks are read by GoCA alone
        trace = ConceptTrace(pipe, classes, background=background, settings=own)
    else:
        trace = AttentionTrace(pipe, classes, prompts=[prompt], settings=settings)
    text, generator = image_pass.text(prompt), torch.Generator("cpu").manual_seed(seed)
    with trace:
        for level in levels:
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            image_pass.call((1 - level) * latents + level * noise, level, text, size)
    return trace.maps()[0]
