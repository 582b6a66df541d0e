"""UNets with cross-attention layers called ``attn2``: Stable Diffusion 1.x, 2.x and XL and models of the same layout.

Img2img, inpainting with 9 channels, and models that predict noise or velocity are read alike. XL's two encoders share
the positions of the context, each with channels of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.processor import CROSS, Reading
from diffucurate.generator.attention.families.family import Family, Pass
from diffucurate.generator.attention.settings import Contest, TraceSettings
from diffucurate.generator.errors import ModelError


class UNet(Family):
    """Cross-attention at several sizes; blocks by name."""

    reading: ClassVar[Reading] = CROSS
    contest: ClassVar[Contest] = "content"
    tau: ClassVar[int] = 1

    @classmethod
    def claims(cls, pipe: Any) -> bool:
        return bool(_cross_attention(getattr(pipe, "unet", None)))

    def __init__(self, pipe: Any) -> None:
        if hasattr(type(pipe), "image_guidance_scale"):
            raise ModelError(
                f"{type(pipe).__name__} denoises three copies of each image, of which the text guides one, and "
                "cannot be traced; use an img2img or inpainting pipeline instead"
            )
        super().__init__(pipe)

    def layers(self, settings: TraceSettings) -> list[str]:
        blocks = tuple(f"{block}_block" for block in settings.blocks)
        return [name for name in _cross_attention(self.model) if name.startswith(blocks)]

    def parts(self) -> list[TextPart]:
        parts, channel = [], 0
        for suffix in ("", "_2"):
            tokenizer = getattr(self.pipe, f"tokenizer{suffix}", None)
            encoder = getattr(self.pipe, f"text_encoder{suffix}", None)
            parts.append(TextPart(tokenizer, encoder, channel=channel))
            channel += encoder.config.hidden_size if encoder is not None else 0
        return parts

    def grid(self, layer: str, latent: tuple[int, int]) -> MapGrid:
        part, number, *_ = layer.split(".")
        last = len(self.model.config.down_block_types) - 1
        level = int(number) if part == "down_blocks" else last - int(number) if part == "up_blocks" else last
        return list(_halved(*latent).values())[level]

    def read_pass(self, arguments: Mapping[str, Any]) -> Pass:
        latents = arguments["sample"]
        grids = _halved(latents.shape[-2], latents.shape[-1])
        return Pass(latents, arguments["encoder_hidden_states"], arguments["timestep"], self.schedule, grids)


def _cross_attention(unet: Any) -> list[str]:
    return [name for name in getattr(unet, "attn_processors", {}) if name.endswith(".attn2.processor")]


def _halved(height: int, width: int) -> dict[int, MapGrid]:
    """Number of pixels -> grid, for every size that halving a latent of this size leads to.

    UNets halve by convolutions of stride 2, which round up; so neither a square nor powers of two are assumed.
    """
    grids, factor = {}, 1
    while height * width not in grids:
        grids[height * width] = MapGrid(factor, (height, width))
        height, width, factor = -(-height // 2), -(-width // 2), factor * 2
    return grids
