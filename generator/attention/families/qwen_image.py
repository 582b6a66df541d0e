"""Qwen-Image: joint attention with rotary positions, in blocks with a stream each for image and text.

The text is a conversation with Qwen2.5-VL, without what its template begins with. Prompts of a batch are filled up to
one length by tokens that nobody attends to. Where a negative prompt is painted against, that has passes of its own.
Tokens of images that are edited come after those of the image that is painted, and take part in its attention.

By default the blocks as deep in are read as ConceptAttention reads of Flux.1, counted over all its blocks: 16 to 19 of
60. No training-free figures are published for Qwen-Image, so none stands behind that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from diffucurate.generator.attention.capture.chat import ChatTemplate
from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.processor import JOINT, Reading
from diffucurate.generator.attention.concept_streams.qwen_image import QwenImageStream
from diffucurate.generator.attention.families.conversations import QWEN_END, QWEN_IMAGE_END, QWEN_USER
from diffucurate.generator.attention.families.family import Family, Pass, by_depth, transformer_of, uncompiled
from diffucurate.generator.attention.image_passes.qwen_image import QwenImagePass
from diffucurate.generator.attention.settings import Contest, TraceSettings
from diffucurate.generator.errors import ModelError

#: Pixels of the latent that are packed into one token, a side.
_PACKED = 2


class QwenImage(Family):
    """Joint attention at one size, that of the packed latents."""

    reading: ClassVar[Reading] = JOINT
    contest: ClassVar[Contest] = "all"
    depth: ClassVar[tuple[float, float]] = (15 / 56, 18 / 56)
    guided_apart: ClassVar[bool] = True
    guidance: ClassVar[str] = "true_cfg_scale"  # guidance_scale is for distilled models

    @classmethod
    def claims(cls, pipe: Any) -> bool:
        return transformer_of(pipe, "QwenImageTransformer2DModel")

    def __init__(self, pipe: Any) -> None:
        super().__init__(pipe)
        if uncompiled(self.model).config.get("use_layer3d_rope"):
            raise ModelError(
                f"{type(pipe).__name__} paints several layers of one image at once and cannot be traced; use a "
                "Qwen-Image text-to-image or editing pipeline instead"
            )

    def layers(self, settings: TraceSettings) -> list[str]:
        return by_depth(list(self.model.attn_processors), settings.depth or self.depth)

    @property
    def finest(self) -> int:
        return _PACKED

    def parts(self) -> list[TextPart]:
        chat = ChatTemplate(
            QWEN_USER,
            QWEN_END,
            self._written,
            media=QWEN_IMAGE_END,
            dropped=self.pipe.prompt_template_encode_start_idx,
        )
        return [TextPart(self.pipe.tokenizer, self.pipe.text_encoder, chat=chat)]

    @property
    def _writes_images(self) -> bool:
        """Whether the pipeline writes images into its prompts, as those that edit do."""
        return getattr(self.pipe, "processor", None) is not None

    def _written(self, prompts: Sequence[str], length: int) -> tuple[list[list[int]], list[list[int]]]:
        if self._writes_images:
            raise ModelError(
                f"{type(self.pipe).__name__} writes images into its prompts, whose words can only be found where it "
                "encodes them inside the trace; leave out prompts"
            )
        texts = [self.pipe.prompt_template_encode.format(prompt) for prompt in prompts]
        rows = self.pipe.tokenizer(texts, padding=True)
        return rows.input_ids, rows.attention_mask

    def concepts(self) -> QwenImageStream:
        if self._writes_images:
            raise ModelError(
                f"{type(self.pipe).__name__} encodes texts together with images, so concepts cannot be encoded; use "
                "QwenImagePipeline"
            )
        model = uncompiled(self.model)
        return QwenImageStream(self.pipe, model, model.transformer_blocks, self.parts())

    def image_pass(self) -> QwenImagePass | None:
        return None if self._writes_images else QwenImagePass(self.pipe)

    def read_pass(self, arguments: Mapping[str, Any]) -> Pass:
        latents, context = arguments["hidden_states"], arguments["encoder_hidden_states"]
        shapes = arguments["img_shapes"][0]
        _, height, width = shapes[0] if isinstance(shapes, list) else shapes  # the painted image's, before others'
        grids = {latents.shape[1]: MapGrid(_PACKED, (height, width))}
        return Pass(latents, context, arguments["timestep"], 1.0, grids)
