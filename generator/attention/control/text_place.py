"""Where pixels and words are among the queries and keys of a layer, for the families whose attention can be masked."""

from __future__ import annotations

from typing import Any, NamedTuple

from diffucurate.generator.attention.families import Family, family_of
from diffucurate.generator.attention.families.flux import ONE_STREAM, TWO_STREAMS, Flux
from diffucurate.generator.attention.families.pixart import PixArt
from diffucurate.generator.attention.families.stable_diffusion_3 import StableDiffusion3
from diffucurate.generator.attention.families.unet import UNet
from diffucurate.generator.errors import ModelError


class TextPlace(NamedTuple):
    """``joint``: whether image and text are one sequence; ``first``: whether the text is its beginning."""

    joint: bool
    first: bool = False

    def spans(self, queries: int, keys: int, text: int) -> tuple[slice, slice]:
        """The pixels among so many queries, and the words among so many keys, where there are ``text`` tokens."""
        if not self.joint:
            return slice(0, queries), slice(0, keys)
        return (
            (slice(text, queries), slice(0, text))
            if self.first
            else (slice(0, queries - text), slice(keys - text, keys))
        )


def text_place(family: Family) -> dict[str, TextPlace]:
    """Processor's name -> where its text is, of all layers in which pixels attend to words.

    Raises:
        ModelError: of another family.
    """
    names = list(family.processors())
    if isinstance(family, UNet | PixArt):
        return {name: TextPlace(joint=False) for name in names if name.endswith(".attn2.processor")}
    if isinstance(family, StableDiffusion3):
        return {name: TextPlace(joint=True) for name in names if name.endswith(".attn.processor")}
    if isinstance(family, Flux):
        return {name: TextPlace(joint=True, first=True) for name in names if name.startswith((TWO_STREAMS, ONE_STREAM))}
    raise ModelError(
        f"{type(family.pipe).__name__}'s attention to words cannot be masked; use a Stable Diffusion, Stable Diffusion "
        "XL or 3, PixArt or Flux.1 model"
    )


def check_layouts(pipe: Any) -> None:
    """Raise a ModelError unless a pipeline can be made to paint by masks."""
    text_place(family_of(pipe))
