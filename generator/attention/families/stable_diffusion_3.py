"""Stable Diffusion 3 and 3.5: joint attention, where image and text are one sequence in every block.

The text is CLIP's tokens, two encoders sharing their positions, and after them T5's. By default one block is read,
9 of 24: of all single ones it finds objects best by far (Seg4Diff), and in a model of another depth the one as far
in. A pixel's attention is the model's own softmax, over words and pixels, as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.processor import JOINT, Reading
from diffucurate.generator.attention.concept_streams.ada_norm import StableDiffusion3Stream
from diffucurate.generator.attention.families.family import Family, Pass, by_depth, patches, transformer_of, uncompiled
from diffucurate.generator.attention.image_passes.stable_diffusion_3 import StableDiffusion3Pass
from diffucurate.generator.attention.settings import Contest, TraceSettings


class StableDiffusion3(Family):
    """Joint attention at one size, that of the patches."""

    reading: ClassVar[Reading] = JOINT
    contest: ClassVar[Contest] = "all"
    depth: ClassVar[tuple[float, float]] = (9 / 23, 9 / 23)

    @classmethod
    def claims(cls, pipe: Any) -> bool:
        return transformer_of(pipe, "SD3Transformer2DModel")

    def layers(self, settings: TraceSettings) -> list[str]:
        # In 3.5 some blocks have an ``attn2`` beside it, in which the image attends to itself alone.
        names = [name for name in self.model.attn_processors if name.endswith(".attn.processor")]
        return by_depth(names, settings.depth or self.depth)

    def parts(self) -> list[TextPart]:
        pipe = self.pipe
        width = pipe.text_encoder.config.hidden_size if pipe.text_encoder is not None else 0
        return [
            TextPart(pipe.tokenizer, pipe.text_encoder),
            TextPart(pipe.tokenizer_2, pipe.text_encoder_2, channel=width),
            TextPart(pipe.tokenizer_3, pipe.text_encoder_3, start=pipe.tokenizer_max_length),
        ]

    def concepts(self) -> StableDiffusion3Stream:
        model = uncompiled(self.model)
        return StableDiffusion3Stream(self.pipe, model, model.transformer_blocks, self.parts())

    def image_pass(self) -> StableDiffusion3Pass:
        return StableDiffusion3Pass(self.pipe, self.schedule)

    def read_pass(self, arguments: Mapping[str, Any]) -> Pass | None:
        if arguments.get("skip_layers") is not None:
            return None  # what the image would be without some layers, for guidance by the difference
        latents = arguments["hidden_states"]
        grids = patches(latents, self.model.config.patch_size)
        return Pass(latents, arguments["encoder_hidden_states"], arguments["timestep"], self.schedule, grids)
