"""PixArt-alpha and -sigma: transformers with cross-attention of its own in every block, and a T5 encoder.

Maps are those of what is painted. A pipeline that is left to choose the nearest of its sizes (its
``use_resolution_binning``) resizes and crops the image after that.

GoCA's figures are for PixArt-Sigma of 28 blocks; in a model of another depth the blocks as far in are taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.processor import CROSS, Reading
from diffucurate.generator.attention.families.family import (
    Family,
    Pass,
    at_share,
    by_depth,
    patches,
    transformer_of,
    uncompiled,
)
from diffucurate.generator.attention.settings import GOCA_PIXART, Contest, TraceSettings

#: Of GoCA: the place of the block whose queries are the reference, and of the blocks whose self-attention refines.
_REFERENCE, _REFINERS = 13 / 27, (10 / 27, 17 / 27)


class PixArt(Family):
    """Cross-attention at one size, that of the patches; all blocks by default, as in DAAM."""

    reading: ClassVar[Reading] = CROSS
    contest: ClassVar[Contest] = "content"
    depth: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @classmethod
    def claims(cls, pipe: Any) -> bool:
        return transformer_of(pipe, "PixArtTransformer2DModel")

    def layers(self, settings: TraceSettings) -> list[str]:
        return by_depth(self._named("attn2"), settings.depth or self.depth)

    @property
    def preset(self) -> TraceSettings:
        return GOCA_PIXART

    @property
    def finest(self) -> int:
        return int(self.model.config.patch_size)

    def reference(self) -> str:
        return at_share(self._named("attn2"), _REFERENCE)

    def refiners(self, settings: TraceSettings) -> list[str]:
        return self.self_layers(settings) if settings.layers is None else by_depth(self._named("attn1"), _REFINERS)

    def _named(self, kind: str) -> list[str]:
        return [name for name in self.model.attn_processors if name.endswith(f".{kind}.processor")]

    def parts(self) -> list[TextPart]:
        return [TextPart(self.pipe.tokenizer, self.pipe.text_encoder, prepare=_prepared)]

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        with torch.no_grad():
            states, mask, *_ = self.pipe.encode_prompt(
                list(texts), do_classifier_free_guidance=False, device=self.pipe._execution_device
            )
        return states, mask.bool()

    def text_states(self, states: Tensor) -> Tensor:
        return uncompiled(self.model).caption_projection(states)

    def grid(self, layer: str, latent: tuple[int, int]) -> MapGrid:
        side = self.model.config.patch_size
        return MapGrid(side, (latent[0] // side, latent[1] // side))

    def read_pass(self, arguments: Mapping[str, Any]) -> Pass:
        latents = arguments["hidden_states"]
        grids = patches(latents, self.model.config.patch_size)
        return Pass(latents, arguments["encoder_hidden_states"], arguments["timestep"], self.schedule, grids)


def _prepared(prompt: str) -> str:
    """A prompt as the pipeline writes it before it is tokenised."""
    return prompt.lower().strip()
