"""A second look: class maps of images that were just painted, from one clean pass through the model that painted them.

While an image is painted its objects are still in the making, and attention wanders with them. Once it is there, the
same model finds them better: the image is encoded, noised a little and denoised once, without guidance, as
``AttentionSource`` looks at images of any origin. Of 200 images of the built-in model labels agree with the segmenter's
in an mIoU of 0.721 by it and of 0.714 by the maps of painting (100 for choosing: 0.668 and 0.656, 100 others: 0.774 and
0.772); contrast or more passes add nothing, nor do the means of both maps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.attention.families import family_of
from diffucurate.generator.attention.families.presets import preset_of
from diffucurate.generator.attention.probe.class_evidence import Heatmaps, gather
from diffucurate.generator.attention.probe.flow_images import LEVEL, flow_maps
from diffucurate.generator.attention.probe.image_latents import check_timesteps, noise_steps, working_size

#: The noise of the pass where the model's own trace names none, as a share of the schedule.
_NOISE = 0.1


def check_second_look(pipe: Any) -> None:
    """See that a pipeline can look at the images that it paints.

    Raises:
        ModelError: it needs more than a prompt for that, as Stable Diffusion XL does.
    """
    check_timesteps(pipe, [_timestep(pipe)])


def second_look(
    pipe: Any,
    images: Sequence[NDArray[np.uint8]],
    prompts: Sequence[str],
    phrases: Sequence[Mapping[str, Sequence[str]]],
) -> list[Heatmaps]:
    """The class maps of images of one size.

    Args:
        images: (H, W, 3) uint8 RGB.
        prompts: what they were painted by.
        phrases: per image class -> the phrases of it that its prompt has; no phrase means two classes.

    Returns:
        Per image class -> (h, w) float32 >= 0, for the classes in its prompt.

    Raises:
        ModelError: as ``check_second_look``.
    """
    check_second_look(pipe)
    classes: dict[str, list[str]] = defaultdict(list)
    for label, each in (item for mentioned in phrases for item in mentioned.items()):
        classes[label] += [phrase for phrase in each if phrase not in classes[label]]
    settings = preset_of(pipe).changed(noise=(0.0, 1.0), pass_at=None, refine_noise=None)
    image_pass = family_of(pipe).image_pass()
    if image_pass is not None:
        level = _timestep(pipe) / noise_steps(pipe)
        return [
            flow_maps(image_pass, image, prompt, mentioned, [level], 0, settings) if mentioned else {}
            for image, prompt, mentioned in zip(images, prompts, phrases, strict=True)
        ]
    height, width = images[0].shape[:2]
    evidence = gather(
        pipe,
        images,
        prompts,
        classes,
        tokens={},
        named=[()] * len(images),
        size=working_size(pipe, width, height),
        timesteps=(_timestep(pipe),),
        seed=0,
        settings=settings,
        contrast=False,
    )
    return [seen.words for seen in evidence]


def _timestep(pipe: Any) -> int:
    share, usual = preset_of(pipe).pass_at, _NOISE if family_of(pipe).image_pass() is None else LEVEL
    return round((usual if share is None else share) * noise_steps(pipe))
