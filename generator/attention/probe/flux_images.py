"""Class maps by Flux of an image that it need not have painted: by the words of a prompt, or by concepts.

The image is encoded, noised to one level as in training (a straight line from image to noise), and given to the model
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.concepts import ConceptTrace
from diffucurate.generator.attention.probe.image_latents import resized_image
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.trace import AttentionTrace

Way = Literal["words", "concepts"]

#: What a model with distilled guidance is told: the pipelines' own default.
_GUIDANCE = 3.5


def flux_size(pipe: Any, width: int, height: int) -> tuple[int, int]:
    """The (width, height) at which Flux looks at an image of this width and height: as many pixels as it paints by
    default, in the image's own proportions, to multiples of what is one token."""
    unit = 2 * pipe.vae_scale_factor
    scale = pipe.default_sample_size * pipe.vae_scale_factor / (width * height) ** 0.5
    return max(1, round(width * scale / unit)) * unit, max(1, round(height * scale / unit)) * unit


@torch.inference_mode()
def flux_maps(
    pipe: Any,
    image: NDArray[np.uint8],
    prompt: str,
    classes: Mapping[str, Sequence[str]],
    levels: Sequence[float],
    seed: int,
    settings: TraceSettings,
    way: Way,
    background: Sequence[str],
) -> dict[str, NDArray[np.float32]]:
    """Class -> (h, w) float32 map >= 0 of an (H, W, 3) image.

    Args:
        prompt: what guides the model; by words only classes that it mentions have maps.
        classes: class -> the phrases that mean it.
        levels: noise levels as shares of the schedule, one pass through the model each.
        seed: of the noise.
        settings: of a trace by words; of them ``depth`` applies to concepts too.
        way: "words", or "concepts": the first phrase of each class is a concept, whatever the prompt says.
        background: concepts that compete for the pixels and get no map.

    Raises:
        ModelError: a pipeline without its T5 encoder.
        InvalidSetting: fewer than two concepts.
    """
    size = flux_size(pipe, image.shape[1], image.shape[0])
    latents, places = _encoded(pipe, image, size)
    trace: AttentionTrace | ConceptTrace
    if way == "concepts":
        own = TraceSettings() if settings.aggregated else settings  # all blocks are read by GoCA alone
        trace = ConceptTrace(pipe, classes, background=background, settings=own)
    else:
        trace = AttentionTrace(pipe, classes, prompts=[prompt], settings=settings)
    states, pooled, text_places = pipe.encode_prompt([prompt], None, pipe._execution_device)
    transformer, generator = pipe.transformer, torch.Generator("cpu").manual_seed(seed)
    guidance = torch.full((1,), _GUIDANCE).to(latents) if transformer.config.guidance_embeds else None
    with trace:
        for level in levels:
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            transformer(
                hidden_states=(1 - level) * latents + level * noise,
                timestep=torch.full((1,), level).to(latents),
                guidance=guidance,
                pooled_projections=pooled,
                encoder_hidden_states=states,
                txt_ids=text_places,
                img_ids=places,
            )
    return trace.maps()[0]


def _encoded(pipe: Any, image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """An image's tokens without noise, (1, tokens, channels), and their places."""
    config, device = pipe.vae.config, pipe._execution_device
    pixels = torch.from_numpy(resized_image(image, size)).permute(2, 0, 1)[None].to(device, pipe.vae.dtype)
    encoded = pipe.vae.encode(pixels / 127.5 - 1).latent_dist.mode()
    latents = ((encoded - config.shift_factor) * config.scaling_factor).to(pipe.transformer.dtype)
    _, channels, height, width = latents.shape
    places = pipe._prepare_latent_image_ids(1, height // 2, width // 2, device, latents.dtype)
    return pipe._pack_latents(latents, 1, channels, height, width), places
