"""UNets with cross-attention layers called ``attn2``: Stable Diffusion 1.x, 2.x and XL and models of the same layout.

Img2img, inpainting with 9 channels, and models that predict noise or velocity are read alike. XL's two encoders share
the positions of the context, each with channels of its own.

GoCA's figures are for 1.5 and XL. The layers that it names are taken by their names where a model has them, else those
at the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.processor import CROSS, Reading
from diffucurate.generator.attention.families.family import Family, Pass, at_share, uncompiled
from diffucurate.generator.attention.settings import BUILT_IN, GOCA, Contest, TraceSettings
from diffucurate.generator.errors import ModelError


@dataclass(frozen=True)
class _Published:
    """What GoCA reads of a UNet, by the names of its transformers.

    Attributes:
        reference: whose first layer's queries are the reference.
        place: where that is among the cross-attention layers of the up blocks, a share of them.
        refiners: whose self-attention refines.
    """

    reference: str
    place: float
    refiners: tuple[str, ...]


#: Of Stable Diffusion 1.5 and 2.x, whose up blocks have 9 such layers.
_SD = _Published(
    "up_blocks.2.attentions.1.transformer_blocks.0",
    4 / 8,
    tuple(
        f"{part}.transformer_blocks.0"
        for part in ("up_blocks.3.attentions.0", "up_blocks.3.attentions.1", "down_blocks.0.attentions.1")
    ),
)

#: How many sizes Stable Diffusion 1.x and its distilled kin work at.
_SD_LEVELS = 4

#: Of Stable Diffusion XL, whose up blocks have 36.
_XL = _Published(
    "up_blocks.1.attentions.0.transformer_blocks.0",
    30 / 35,
    (
        *(f"up_blocks.1.attentions.{k}.transformer_blocks.{n}" for k in (0, 1) for n in (0, 1)),
        "up_blocks.1.attentions.2.transformer_blocks.0",
        *(f"down_blocks.1.attentions.0.transformer_blocks.{n}" for n in (0, 1)),
    ),
)


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

    @property
    def preset(self) -> TraceSettings:
        config = uncompiled(self.model).config
        if self._xl:
            return GOCA
        # Nothing is published for 2.x, and for UNets of fewer levels the figures do not hold: on the small model of
        # ``benchmarks/textured`` labels have mIoU 0.66 by GoCA, 0.81 by DAAM's settings and 0.88 by these.
        return GOCA if len(config.up_block_types) == _SD_LEVELS and not config.use_linear_projection else BUILT_IN

    @property
    def finest(self) -> int:
        return 2 ** min(self._level(name) for name in _cross_attention(self.model))

    def reference(self) -> str:
        up = [name for name in _cross_attention(self.model) if name.startswith("up_blocks.")]
        published = _XL if self._xl else _SD
        name = f"{published.reference}.attn2.processor"
        return name if name in up else at_share(up or _cross_attention(self.model), published.place)

    def refiners(self, settings: TraceSettings) -> list[str]:
        if settings.layers is None:
            return self.self_layers(settings)
        every = [name for name in self.model.attn_processors if name.endswith(".attn1.processor")]
        published = [f"{name}.attn1.processor" for name in (_XL if self._xl else _SD).refiners]
        finest = min(self._level(name) for name in every)
        named = [name for name in published if name in every and self._level(name) == finest]
        return named or [name for name in every if self._level(name) == finest]

    @property
    def _xl(self) -> bool:
        return uncompiled(self.model).config.get("addition_embed_type") == "text_time"

    def parts(self) -> list[TextPart]:
        parts, channel = [], 0
        for suffix in ("", "_2"):
            tokenizer = getattr(self.pipe, f"tokenizer{suffix}", None)
            encoder = getattr(self.pipe, f"text_encoder{suffix}", None)
            parts.append(TextPart(tokenizer, encoder, channel=channel))
            channel += encoder.config.hidden_size if encoder is not None else 0
        return parts

    def grid(self, layer: str, latent: tuple[int, int]) -> MapGrid:
        return list(_halved(*latent).values())[self._level(layer)]

    def _level(self, layer: str) -> int:
        """How often the latent was halved before a layer."""
        part, number, *_ = layer.split(".")
        last = len(self.model.config.down_block_types) - 1
        return int(number) if part == "down_blocks" else last - int(number) if part == "up_blocks" else last

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
