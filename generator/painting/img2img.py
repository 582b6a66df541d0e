"""A loaded text-to-image pipeline as one that paints from init images, with the same parts.

Nothing is loaded again: diffusers' pipelines share their models. A UNet of 9 channels inpaints by reading the
init image and the mask; a plain one by blending the init image's latents in after each step, which diffusers does for
latents of 4 channels and ``Blend`` for others.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting
from PIL import Image

from diffucurate.generator.errors import ModelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.painting.init_images import InitPixels
from diffucurate.generator.painting.latent_blending import Blend
from diffucurate.generator.recipe.canvas_config import CANVAS
from diffucurate.generator.recipe.init_image_config import REPLACE, TEXT
from diffucurate.generator.recipe.layout_config import MASKS

#: Channels of a UNet for inpainting: the latent, the mask, and the latent of the init image without the region.
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
    if task in (TEXT, CANVAS, MASKS) or (blended and strength == 1):  # from noise alone, as from text
        return pipe
    kind = AutoPipelineForInpainting if task == REPLACE and not blended else AutoPipelineForImage2Image
    try:
        return kind.from_pipe(pipe)
    except ValueError as error:
        purpose = "inpaints" if task == REPLACE else "starts from init images"
        remedy = "use a Stable Diffusion, Stable Diffusion XL or 3, or Flux model"
        raise ModelError(f"diffusers has no pipeline that {purpose} with {type(pipe).__name__}; {remedy}") from error


def init_image_arguments(pipe: Any, jobs: Sequence[Job], init_images: Sequence[InitPixels]) -> dict[str, Any]:
    """The arguments of a pipeline of ``for_task`` for size and init images, for jobs that are painted ``together``.

    ``init_images`` have the jobs' size; there are none for images from text.
    """
    width, height = jobs[0].size
    arguments: dict[str, Any] = {"width": width, "height": height}
    if jobs[0].source is None:
        return arguments
    arguments["image"] = [Image.fromarray(init_image.image) for init_image in init_images]
    arguments["strength"] = jobs[0].source.strength
    masks = [init_image.mask for init_image in init_images]
    accepted = inspect.signature(pipe.__call__).parameters  # some pipelines take the size from the init images alone
    if "mask_image" in accepted:
        arguments["mask_image"] = [Image.fromarray(mask) for mask in masks if mask is not None]
    elif jobs[0].task == REPLACE:
        blend = Blend(pipe, jobs, init_images)
        arguments |= {"latents": blend.noise, "callback_on_step_end": blend}
    return {name: value for name, value in arguments.items() if name in accepted}
