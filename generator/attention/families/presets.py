"""Which settings a pipeline is traced with unless others are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffucurate.generator.attention.families import family_of
from diffucurate.generator.attention.settings import BUILT_IN, TraceSettings
from diffucurate.generator.models.built_in import pipeline_folder


def preset_of(pipe: Any) -> TraceSettings:
    """``BUILT_IN`` for the built-in model, whose settings were chosen on its own scenes. For other models those for
    which figures are published on their family: GoCA for Stable Diffusion 1.x, XL, PixArt and Flux.1. For families
    without such figures (Stable Diffusion 2.x, 3 and 3.5, Flux.2, Qwen-Image, Z-Image), and for UNets of another depth
    than Stable Diffusion's, ``BUILT_IN`` with what their ``Family`` knows better.

    Raises:
        ModelError: a pipeline of no family that can be traced.
    """
    family = family_of(pipe)
    return BUILT_IN if is_built_in(pipe) else family.preset


def is_built_in(pipe: Any) -> bool:
    """Whether a pipeline paints with the built-in model, whatever its class: its UNet was loaded from that folder."""
    unet = getattr(pipe, "unet", None)
    origin = getattr(getattr(unet, "config", None), "_name_or_path", "")
    return bool(origin) and Path(origin).resolve() == (pipeline_folder() / "unet").resolve()
