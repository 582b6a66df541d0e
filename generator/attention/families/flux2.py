"""Flux.2, dev and klein: joint attention with rotary positions, first in blocks with a stream each for image and text.

The text is a conversation with a language model, of whose states three layers' stand side by side: Mistral's for dev,
Qwen3's for klein. Dev is given guidance as a number; klein has passes of its own with the empty prompt. Tokens of
reference images come after those of the image that is painted, and take part in its attention.

By default the last fifth of the blocks with two streams is read, which is what ConceptAttention reads of Flux.1. No
training-free figures are published for Flux.2, so none stands behind that. Where settings ask for blocks with one
stream (``TraceSettings.single_stream``), those are read too, which come after the others: 48 after 8 in dev.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.processor import JOINT, PARALLEL, Reading
from diffucurate.generator.attention.concept_streams.flux2 import Flux2Stream
from diffucurate.generator.attention.families.conversations import mistral, qwen3
from diffucurate.generator.attention.families.family import Family, Pass, by_depth, transformer_of, uncompiled
from diffucurate.generator.attention.families.flux import ONE_STREAM, PACKED, TWO_STREAMS, image_size
from diffucurate.generator.attention.image_passes.flux import Flux2Pass
from diffucurate.generator.attention.settings import Contest, TraceSettings
from diffucurate.generator.errors import ModelError


class Flux2(Family):
    """Joint attention at one size, that of the packed latents."""

    reading: ClassVar[Reading] = JOINT
    contest: ClassVar[Contest] = "all"
    depth: ClassVar[tuple[float, float]] = (15 / 18, 1.0)
    guided_apart: ClassVar[bool] = True

    @classmethod
    def claims(cls, pipe: Any) -> bool:
        return transformer_of(pipe, "Flux2Transformer2DModel")

    def __init__(self, pipe: Any) -> None:
        super().__init__(pipe)
        self._grids: dict[int, MapGrid] = {}

    def layers(self, settings: TraceSettings) -> list[str]:
        kinds = (TWO_STREAMS, ONE_STREAM) if settings.single_stream else (TWO_STREAMS,)
        names = [name for kind in kinds for name in self.model.attn_processors if name.startswith(kind)]
        return by_depth(names, settings.depth or self.depth)

    def reading_of(self, layer: str) -> Reading:
        return PARALLEL if layer.startswith(ONE_STREAM) else JOINT

    @property
    def finest(self) -> int:
        return PACKED

    def parts(self) -> list[TextPart]:
        processor = self.pipe.tokenizer
        system = getattr(self.pipe, "system_message", None)
        chat = qwen3(processor, thinking=False, trimmed=False) if system is None else mistral(processor, system)
        return [TextPart(getattr(processor, "tokenizer", processor), self.pipe.text_encoder, chat=chat)]

    def concepts(self) -> Flux2Stream:
        model = uncompiled(self.model)
        return Flux2Stream(self.pipe, model, model.transformer_blocks, self.parts())

    def image_pass(self) -> Flux2Pass:
        return Flux2Pass(self.pipe)

    def read_pass(self, arguments: Mapping[str, Any]) -> Pass:
        if arguments.get("kv_cache_mode") is not None:
            raise ModelError(
                f"{type(self.pipe).__name__} keeps the keys of its reference images from the first step and cannot be "
                "traced; use Flux2KleinPipeline instead"
            )
        latents, context = arguments["hidden_states"], arguments["encoder_hidden_states"]
        if latents.shape[1] not in self._grids:
            # The model's arguments hold the place of each token, not height and width.
            grid = MapGrid(PACKED, image_size(arguments["img_ids"]))
            self._grids = {latents.shape[1]: grid, latents.shape[1] + context.shape[1]: grid}
        return Pass(latents, context, arguments["timestep"], 1.0, self._grids)
