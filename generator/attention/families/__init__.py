"""One module per family of models: which layers attend to the text, and how a call of the model is read."""

from __future__ import annotations

from typing import Any

from diffucurate.generator.attention.families.family import Family, Pass, same_context
from diffucurate.generator.attention.families.flux import Flux
from diffucurate.generator.attention.families.flux2 import Flux2
from diffucurate.generator.attention.families.pixart import PixArt
from diffucurate.generator.attention.families.qwen_image import QwenImage
from diffucurate.generator.attention.families.stable_diffusion_3 import StableDiffusion3
from diffucurate.generator.attention.families.unet import UNet
from diffucurate.generator.attention.families.z_image import ZImage
from diffucurate.generator.errors import ModelError

__all__ = ["Family", "Pass", "family_of", "same_context"]

_FAMILIES: tuple[type[Family], ...] = (UNet, PixArt, StableDiffusion3, Flux, Flux2, QwenImage, ZImage)


def family_of(pipe: Any) -> Family:
    """How a pipeline's attention is read.

    Raises:
        ModelError: a pipeline of no family that can be traced.
    """
    for family in _FAMILIES:
        if family.claims(pipe):
            return family(pipe)
    raise ModelError(
        f"{type(pipe).__name__} has no attention between image and text that can be traced; "
        "use a Stable Diffusion 1.x, 2.x, XL, 3 or 3.5, PixArt, Flux.1, Flux.2, Qwen-Image or Z-Image model, or one "
        "laid out like them"
    )
