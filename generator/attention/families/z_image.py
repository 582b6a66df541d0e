"""Z-Image: joint attention in one stream, in which the text follows the image.

The text is a conversation with Qwen3, without padding. Both image and text are filled up to a multiple of 32 tokens by
learned ones that take part in attention; rows with less text than others end with tokens that nobody attends to. Rows
of guidance come after those of the prompts, and may be left out in the last steps. The model counts time from noise to
image.

By default the blocks as deep in are read as ConceptAttention reads of Flux.1, counted over all its blocks: 8 and 9 of
30. No training-free figures are published for Z-Image, so none stands behind that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any, ClassVar

import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.processor import SINGLE, Attended, Reading, split_stream
from diffucurate.generator.attention.concept_streams.z_image import ZImageStream, filled
from diffucurate.generator.attention.families.conversations import qwen3
from diffucurate.generator.attention.families.family import Family, Pass, by_depth, transformer_of, uncompiled
from diffucurate.generator.attention.image_passes.z_image import ZImagePass
from diffucurate.generator.attention.settings import Contest, TraceSettings
from diffucurate.generator.errors import ModelError

#: Pixels of the latent that are one token by default, a side.
_PATCH = 2


class ZImage(Family):
    """Joint attention at one size, that of the patches."""

    reading: ClassVar[Reading] = SINGLE
    contest: ClassVar[Contest] = "all"
    depth: ClassVar[tuple[float, float]] = (15 / 56, 18 / 56)
    prompts_first: ClassVar[bool] = True

    @classmethod
    def claims(cls, pipe: Any) -> bool:
        return transformer_of(pipe, "ZImageTransformer2DModel")

    def __init__(self, pipe: Any) -> None:
        if getattr(pipe, "siglip", None) is not None:
            raise ModelError(
                f"{type(pipe).__name__} puts images between the words of its prompts and cannot be traced; use "
                "ZImagePipeline instead"
            )
        super().__init__(pipe)
        self._texts = 0  # the number of tokens that the text of the first pass takes

    def processors(self) -> dict[str, Any]:
        blocks = uncompiled(self.model).layers
        return {
            f"layers.{number}.attention.processor": block.attention.processor for number, block in enumerate(blocks)
        }

    def set_processors(self, processors: Mapping[str, Any]) -> None:
        for name, processor in processors.items():
            self.layer(name).set_processor(processor)

    def layers(self, settings: TraceSettings) -> list[str]:
        return by_depth(list(self.processors()), settings.depth or self.depth)

    @property
    def finest(self) -> int:
        return _PATCH

    def parts(self) -> list[TextPart]:
        chat = qwen3(self.pipe.tokenizer, thinking=True, trimmed=True)
        return [TextPart(self.pipe.tokenizer, self.pipe.text_encoder, chat=chat)]

    def concepts(self) -> ZImageStream:
        model = uncompiled(self.model)
        return ZImageStream(self.pipe, model, model.layers, self.parts())

    def image_pass(self) -> ZImagePass:
        return ZImagePass(self.pipe)

    def read_pass(self, arguments: Mapping[str, Any]) -> Pass:
        latents = torch.stack(list(arguments["x"])).squeeze(2)
        side = arguments.get("patch_size", _PATCH)
        size = (latents.shape[-2] // side, latents.shape[-1] // side)
        texts = filled(max(len(text) for text in arguments["cap_feats"]))
        self._texts = max(self._texts, texts)
        context = pad_sequence(list(arguments["cap_feats"]), batch_first=True)
        context = functional.pad(context, (0, 0, 0, self._texts - context.shape[1]))
        grids = {filled(prod(size)) + texts: MapGrid(side, size)}
        return Pass(latents, context, 1 - arguments["t"], 1.0, grids)

    def split(self, seen: Attended, current: Pass) -> Attended:
        ((_, grid),) = current.grids.items()
        pixels = filled(prod(grid.size))
        parts = split_stream(seen, slice(pixels, None), slice(pixels))
        missing = self._texts - parts.key.shape[2]
        if not missing:
            return parts
        # Without rows of guidance there may be less text than in the first pass, by which tokens are counted.
        mask = parts.mask
        if mask is None:
            mask = torch.zeros(parts.key.shape[0], 1, parts.key.shape[2], device=parts.key.device)
        return replace(
            parts,
            key=functional.pad(parts.key, (0, 0, 0, missing)),
            mask=functional.pad(mask, (0, missing), value=-torch.inf),
        )
