"""A loaded text-to-image pipeline as one that paints from pictures, with the same parts.

Nothing is loaded again: diffusers' pipelines share their models. A UNet of 9 channels inpaints by looking at picture
and mask; a plain one by blending the picture's latents in after each step, which diffusers does for latents of 4
channels and ``Blend`` for others.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting
from PIL import Image

from diffucurate.generator.errors import ModelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.painting.init_images import Picture
from diffucurate.generator.painting.latent_blending import Blend
from diffucurate.generator.recipe.init_image_config import REPLACE, TEXT

#: Channels of a UNet that was made to inpaint: the latent, the mask, and the latent of the picture without the region.
_INPAINTING = 9
#: Channels of a plain UNet with which diffusers can inpaint.
_PLAIN = 4


def for_task(pipe: Any, task: str, strength: float | None = None) -> Any:
    """The pipeline that does a recipe's task, made of the parts that ``pipe`` has now.

    ``strength`` is the jobs'; None for images from text.

    Raises:
        ModelError: diffusers has none for this model, or the model does nothing but inpaint.
    """
    unet = getattr(pipe, "unet", None)
    channels = None if unet is None else unet.config.in_channels
    if channels == _INPAINTING and task != REPLACE:
        raise ModelError(f"this model can only inpaint, as it reads {channels} channels; use another for {task}")
    blended = task == REPLACE and channels not in (None, _PLAIN, _INPAINTING)
    if task == TEXT or (blended and strength == 1):  # from noise alone, as from text
        return pipe
    kind = AutoPipelineForInpainting if task == REPLACE and not blended else AutoPipelineForImage2Image
    try:
        return kind.from_pipe(pipe)
    except ValueError as error:
        purpose = "inpaints" if task == REPLACE else "starts from pictures"
        remedy = "use a Stable Diffusion, Stable Diffusion XL or 3, or Flux model"
        raise ModelError(f"diffusers has no pipeline that {purpose} with {type(pipe).__name__}; {remedy}") from error


def init_image_arguments(pipe: Any, jobs: Sequence[Job], pictures: Sequence[Picture]) -> dict[str, Any]:
    """What a pipeline of ``for_task`` is told of size and pictures, for jobs that are painted ``together``.

    ``pictures`` have the jobs' size; there are none for images from text.
    """
    width, height = jobs[0].size
    arguments: dict[str, Any] = {"width": width, "height": height}
    if jobs[0].source is None:
        return arguments
    arguments["image"] = [Image.fromarray(picture.image) for picture in pictures]
    arguments["strength"] = jobs[0].source.strength
    taken = inspect.signature(pipe.__call__).parameters  # some pipelines take the size from the pictures alone
    if "mask_image" in taken:
        arguments["mask_image"] = [Image.fromarray(one.mask) for one in pictures if one.mask is not None]
    elif jobs[0].task == REPLACE:
        blend = Blend(pipe, jobs, pictures)
        arguments |= {"latents": blend.noise, "callback_on_step_end": blend}
    return {name: value for name, value in arguments.items() if name in taken}
