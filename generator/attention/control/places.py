"""Where pixels and words are among the queries and keys of a layer, for the families whose attention can be masked."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from diffucurate.generator.attention.families import Family, family_of
from diffucurate.generator.attention.families.flux import ONE_STREAM, TWO_STREAMS, Flux
from diffucurate.generator.attention.families.pixart import PixArt
from diffucurate.generator.attention.families.stable_diffusion_3 import StableDiffusion3
from diffucurate.generator.attention.families.unet import UNet
from diffucurate.generator.errors import ModelError


class Spans(NamedTuple):
    """The pixels among a layer's queries; the words, and the pixels, among its keys; None where it has none."""

    pixels: slice
    tokens: slice | None
    others: slice | None


class AttentionPlace(NamedTuple):
    """What a layer's pixels attend to: ``words``, other ``pixels``, or both in one sequence, of which the text comes
    first (``text_first``) or last (``text_last``)."""

    kind: Literal["words", "pixels", "text_first", "text_last"]

    def spans(self, queries: int, keys: int, text: int) -> Spans:
        """Of so many queries and keys, where there are ``text`` tokens."""
        if self.kind == "words":
            return Spans(slice(0, queries), slice(0, keys), None)
        if self.kind == "pixels":
            return Spans(slice(0, queries), None, slice(0, keys))
        if self.kind == "text_first":
            return Spans(slice(text, queries), slice(0, text), slice(text, keys))
        return Spans(slice(0, queries - text), slice(keys - text, keys), slice(0, keys - text))


def attention_places(family: Family, *, among_pixels: bool = False) -> dict[str, AttentionPlace]:
    """Processor's name -> its place, of all layers in which pixels attend to words.

    ``among_pixels``: those too in which they attend to pixels alone.

    Raises:
        ModelError: of another family.
    """
    names = list(family.processors())
    if isinstance(family, UNet | PixArt):
        words = {name: AttentionPlace("words") for name in names if name.endswith(".attn2.processor")}
        pixels = {name: AttentionPlace("pixels") for name in names if name.endswith(".attn1.processor")}
        return {**words, **pixels} if among_pixels else words
    if isinstance(family, StableDiffusion3):
        joint = {name: AttentionPlace("text_last") for name in names if name.endswith(".attn.processor")}
        pixels = {name: AttentionPlace("pixels") for name in names if name.endswith(".attn2.processor")}
        return {**joint, **pixels} if among_pixels else joint
    if isinstance(family, Flux):
        return {name: AttentionPlace("text_first") for name in names if name.startswith((TWO_STREAMS, ONE_STREAM))}
    raise ModelError(
        f"{type(family.pipe).__name__}'s attention to words cannot be masked; use a Stable Diffusion, Stable Diffusion "
        "XL or 3, PixArt or Flux.1 model"
    )


def check_layouts(pipe: Any) -> None:
    """Raise a ModelError unless a pipeline can be made to paint by masks."""
    attention_places(family_of(pipe))
