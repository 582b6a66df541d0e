"""Contrast: where a model's prediction changes when the prompt does not name a class. It complements attention.

The noise of an image is predicted twice, with its prompt and with "thing" in the place of the class's words; the two
differ where the words made a difference (DiffEdit, Couairon et al. 2022). That map is noisier than attention and less
exact at outlines, but its errors are elsewhere: attention may find only a person's head and shirt, while without the
word the legs change too. Attention's own map is multiplied by it.

Single pixels are noisy, so the map is smoothed by self-attention, as attention's own map is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.probe.image_latents import denoise_once
from diffucurate.generator.labels.maps.heatmaps import resized
from diffucurate.generator.text.class_mentions import find_mentions, find_phrases, normalised

Heat = NDArray[np.float32]

#: The word in a prompt in the place of a class.
_NEUTRAL = "thing"

#: The powers of attention's map and of the contrast in their product. On 400 rendered scenes set aside for choosing,
#: labels by words had mIoU 0.887, 0.873 without contrast; others nearby were within 0.003 of it, and these have the
#: best confidences. The sum is above 1 because the contrast falls off less than attention does.
_ATTENTION, _CONTRAST = 0.7, 0.45


class _Row(NamedTuple):
    """An image's number, a class of its prompt, and the prompt without it."""

    image: int
    label: str
    prompt: str


def without(prompt: str, classes: Mapping[str, Sequence[str]], label: str) -> str:
    """The prompt with a neutral word wherever it mentions class ``label``; ``classes`` are all that it may mention."""
    text = normalised(prompt)
    for mention in reversed(find_mentions(prompt, classes)):
        if mention.label == label:
            text = text[: mention.start] + _NEUTRAL + text[mention.end :]
    return text


@torch.inference_mode()
def contrasts(
    pipe: Any,
    latents: Tensor,
    prompts: Sequence[str],
    predicted: Sequence[Tensor],
    classes: Mapping[str, Sequence[str]],
    timesteps: Sequence[int],
    seed: int,
) -> list[dict[str, Heat]]:
    """How much the model's prediction changes without each class, one pass for each class and step.

    Args:
        latents: (images, channels, h, w), without noise.
        prompts: one per image.
        predicted: per step what ``denoise_once`` gave for these prompts, steps and seed.
        classes: class -> the phrases that mean it.
        timesteps, seed: as for ``denoise_once``.

    Returns:
        Per image class -> (h, w) float32 >= 0 of the latent's size, for the classes that its prompt mentions: the
        length of the change over channels as a multiple of its mean, averaged over steps; 0 where nothing changes.
    """
    rows = [
        _Row(index, label, without(prompt, classes, label))
        for index, prompt in enumerate(prompts)
        for label in find_phrases(prompt, classes)
    ]
    changes: list[dict[str, Heat]] = [{} for _ in prompts]
    for start in range(0, len(rows), len(prompts)):  # as many at once as there are images
        batch = rows[start : start + len(prompts)]
        images = torch.tensor([row.image for row in batch], device=latents.device)
        changed = denoise_once(pipe, latents[images], [row.prompt for row in batch], timesteps, seed)
        lengths = torch.stack(
            [(full[images].float() - less.float()).norm(dim=1) for full, less in zip(predicted, changed, strict=True)]
        )
        means = lengths.mean(dim=(2, 3), keepdim=True)
        for row, plane in zip(batch, (lengths / means.clamp(min=1e-12)).mean(dim=0).cpu().numpy(), strict=True):
            changes[row.image][row.label] = plane
    return changes


def smoothed(contrast: Heat, refined: Heat) -> Heat:
    """A contrast smoothed by its self-attention refinement, (h, w) of the latter's size: their geometric mean, in which
    the refined map counts twice."""
    return np.asarray(np.cbrt(resized(contrast, refined.shape[::-1]) * refined**2), np.float32)


def contrasted(heat: Heat, contrast: Heat) -> Heat:
    """A raw map times its class's contrast, (h, w) of the map's size and in its unit; unchanged where the contrast is 0
    everywhere."""
    second = resized(contrast, heat.shape[::-1])
    peak, highest = max(float(heat.max()), 1e-12), float(second.max())
    if not highest:
        return heat
    return np.asarray(peak * (heat / peak) ** _ATTENTION * (second / highest) ** _CONTRAST, np.float32)
