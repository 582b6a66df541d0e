"""Flux: joint attention with rotary positions, first in blocks with a stream each for image and text, read here.

The text is T5's tokens; of CLIP the model gets one vector for the whole prompt. Guidance is a number the model is
given, so that rows are not doubled; where a negative prompt is painted against all the same, that is a pass of its
own. Where settings ask for blocks with one stream (``TraceSettings.single_stream``), those are read too, which come
after the others: 38 after 19. By default blocks 15 to 18 of the 19 are read, the last fifth, whose maps are the best
(ConceptAttention).

GoCA's figures are for a model of 57 blocks; in a model of another depth the blocks as far in are taken. Its reference,
block 27, is one with a single stream, and what counts there is the attention's output before anything is added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.processor import JOINT, SINGLE, Attended, Reading
from diffucurate.generator.attention.concept_streams.ada_norm import FluxStream
from diffucurate.generator.attention.families.family import Family, Pass, at_share, by_depth, transformer_of, uncompiled
from diffucurate.generator.attention.image_passes.flux import FluxPass
from diffucurate.generator.attention.settings import GOCA_FLUX, Contest, TraceSettings

#: Pixels of the latent that are packed into one token, a side.
PACKED = 2

#: Where the names of processors begin, of the blocks with a stream each for image and text and of those with one.
TWO_STREAMS, ONE_STREAM = "transformer_blocks.", "single_transformer_blocks."

#: Of GoCA: the place of the block whose output is the reference, and of those whose self-attention refines.
_REFERENCE, _REFINERS = 27 / 56, (12 / 56, 18 / 56)


class Flux(Family):
    """Joint attention at one size, that of the packed latents."""

    reading: ClassVar[Reading] = JOINT
    contest: ClassVar[Contest] = "all"
    depth: ClassVar[tuple[float, float]] = (15 / 18, 1.0)
    guided_apart: ClassVar[bool] = True

    @classmethod
    def claims(cls, pipe: Any) -> bool:
        return transformer_of(pipe, "FluxTransformer2DModel")

    def __init__(self, pipe: Any) -> None:
        super().__init__(pipe)
        self._grids: dict[int, MapGrid] = {}

    def layers(self, settings: TraceSettings) -> list[str]:
        kinds = (TWO_STREAMS, ONE_STREAM) if settings.single_stream else (TWO_STREAMS,)
        return by_depth(self._named(*kinds), settings.depth or self.depth)

    def reading_of(self, layer: str) -> Reading:
        return SINGLE if layer.startswith(ONE_STREAM) else JOINT

    @property
    def preset(self) -> TraceSettings:
        return GOCA_FLUX

    @property
    def finest(self) -> int:
        return PACKED

    def reference(self) -> str:
        return at_share(self._named(TWO_STREAMS, ONE_STREAM), _REFERENCE)

    def features(self, seen: Attended) -> Tensor:
        assert seen.result is not None
        return seen.result

    def refiners(self, settings: TraceSettings) -> list[str]:
        if settings.layers is None:
            return self.layers(settings)
        published = [at_share(self._named(TWO_STREAMS, ONE_STREAM), share) for share in _REFINERS]
        read = self.layers(settings)
        return [name for name in published if name in read] or read

    def _named(self, *kinds: str) -> list[str]:
        """The names of the processors of these kinds of blocks, in their order."""
        return [name for kind in kinds for name in self.model.attn_processors if name.startswith(kind)]

    def parts(self) -> list[TextPart]:
        return [TextPart(self.pipe.tokenizer_2, self.pipe.text_encoder_2)]

    def concepts(self) -> FluxStream:
        model = uncompiled(self.model)
        return FluxStream(self.pipe, model, model.transformer_blocks, self.parts())

    def image_pass(self) -> FluxPass | None:
        packed = PACKED**2 * self.pipe.vae.config.latent_channels
        return FluxPass(self.pipe) if self.model.config.in_channels == packed else None  # else it is given more

    def read_pass(self, arguments: Mapping[str, Any]) -> Pass:
        latents, context = arguments["hidden_states"], arguments["encoder_hidden_states"]
        if latents.shape[1] not in self._grids:
            # The model's arguments hold the place of each token, not height and width.
            grid = MapGrid(PACKED, image_size(arguments["img_ids"]))
            self._grids = {latents.shape[1]: grid, latents.shape[1] + context.shape[1]: grid}
        return Pass(latents, context, arguments["timestep"], 1.0, self._grids)


def image_size(places: Tensor) -> tuple[int, int]:
    """(height, width) of the image among its tokens' places, (..., 3 or more): which image, row, column.

    Image 0 is the painted one; reference images (Flux Kontext, Flux.2) follow it.
    """
    places = places.reshape(-1, places.shape[-1])
    height, width = (places[places[:, 0] == 0][:, 1:3].amax(dim=0) + 1).long().tolist()
    return height, width
