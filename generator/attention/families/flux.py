"""Flux: joint attention with rotary positions, first in blocks with a stream each for image and text, read here.

The text is T5's tokens; of CLIP the model gets one vector for the whole prompt. Guidance is a number the model is
given, so that rows are not doubled; where a negative prompt is painted against all the same, that is a pass of its
own. By default blocks 15 to 18 of the 19 are read, the last fifth, whose maps are the best (ConceptAttention).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from diffusers import FluxTransformer2DModel
from torch import Tensor

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.processor import JOINT, Reading
from diffucurate.generator.attention.families.family import Family, Pass, by_depth, transformer_of
from diffucurate.generator.attention.settings import Contest, TraceSettings

#: Pixels of the latent that are packed into one token, a side.
_PACKED = 2


class Flux(Family):
    """Joint attention at one size, that of the packed latents."""

    reading: ClassVar[Reading] = JOINT
    contest: ClassVar[Contest] = "all"
    depth: ClassVar[tuple[float, float]] = (15 / 18, 1.0)
    guided_apart: ClassVar[bool] = True

    @classmethod
    def claims(cls, pipe: Any) -> bool:
        return transformer_of(pipe, FluxTransformer2DModel)

    def __init__(self, pipe: Any) -> None:
        super().__init__(pipe)
        self._grids: dict[int, MapGrid] = {}

    def layers(self, settings: TraceSettings) -> list[str]:
        names = [name for name in self.model.attn_processors if name.startswith("transformer_blocks.")]
        return by_depth(names, settings.depth or self.depth)

    def parts(self) -> list[TextPart]:
        return [TextPart(self.pipe.tokenizer_2, self.pipe.text_encoder_2)]

    def read_pass(self, arguments: Mapping[str, Any]) -> Pass:
        latents = arguments["hidden_states"]
        if latents.shape[1] not in self._grids:
            # The model's arguments hold the place of each token, not height and width.
            self._grids[latents.shape[1]] = MapGrid(_PACKED, image_size(arguments["img_ids"]))
        return Pass(latents, arguments["encoder_hidden_states"], arguments["timestep"], 1.0, self._grids)


def image_size(places: Tensor) -> tuple[int, int]:
    """(height, width) of the image among its tokens' places, (tokens, 3): which image, row, column.

    Image 0 is the painted one; reference images (Flux Kontext) follow it.
    """
    places = places.reshape(-1, 3)
    height, width = (places[places[:, 0] == 0][:, 1:].amax(dim=0) + 1).long().tolist()
    return height, width
