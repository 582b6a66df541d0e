"""How a word is learned: a strict, frozen config that forms, the command line and Python build alike. Light."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from diffucurate.generator.validation import StrictSettings

#: Where a caption has the word.
SLOT = "{}"

#: Captions for images of an object, and for images in a style, where none is given for the image itself.
OBJECT_CAPTIONS = (
    "a photo of a {}",
    "a photo of the {}",
    "a picture of a {}",
    "a view of one {}",
    "an image of the {}",
)
STYLE_CAPTIONS = (
    "a picture in {} style",
    "a photo in the style of {}",
    "a scene in {} style",
    "an image in the style of {}",
)

#: Layers that low-rank changes are made to, by the ends of their names in a UNet of diffusers'.
LAYERS = {
    "text": ("attn2.to_k", "attn2.to_v"),
    "attention": ("to_q", "to_k", "to_v", "to_out.0"),
    "all": ("to_q", "to_k", "to_v", "to_out.0", "net.0.proj", "net.2", "conv1", "conv2"),
}

_Rate = Annotated[float, Field(gt=0, le=100)]


class LowRank(StrictSettings):
    """Small changes to the model itself, learned beside the word (LoRA, Hu et al. 2021; on keys and values of the
    text alone, as Custom Diffusion does, Kumari et al. 2023). For objects that no prompt makes the model paint."""

    prefix: ClassVar[str] = "lora"

    rank: Annotated[int, Field(ge=1, le=128)] = 8
    learning_rate: _Rate = 1e-3
    layers: Literal["text", "attention", "all"] = "text"
    """Keys and values of the text, all of attention, or the convolutions too."""


def _plain_captions(value: Any) -> Any:
    texts = value if isinstance(value, list | tuple) else [value] if isinstance(value, str) else None
    if value in ("thing", "style"):
        return value
    if not texts or not all(isinstance(text, str) and text.count(SLOT) == 1 for text in texts):
        raise ValueError("write 'thing', 'style' or texts with one {} each for the word")
    return tuple(texts)


def _plain_lora(value: Any) -> Any:
    if isinstance(value, bool):
        return LowRank() if value else None
    return value


def _plain_placeholder(value: Any) -> Any:
    if isinstance(value, str) and (len(value.split()) != 1 or value != value.strip()):
        raise ValueError("a placeholder is one word, as in <piano>")
    return value


class Inversion(StrictSettings):
    """How one word is learned.

    Raises:
        InvalidSetting: a setting out of range or of another type.
    """

    placeholder: Annotated[str, Field(min_length=1), BeforeValidator(_plain_placeholder)]
    """The word as prompts write it; it must be new to the model's tokenizer."""
    initializer: Annotated[str, Field(min_length=1)] | None = None
    """Words whose vectors the new ones start from, such as ``car`` or ``black table``; by default they start near the
    mean of all words."""
    vectors: Annotated[int, Field(ge=1, le=32)] = 1
    """Vectors of the word: more describe the object in more detail, and each takes a token of the prompt."""
    captions: Annotated[Literal["thing", "style"] | tuple[str, ...], BeforeValidator(_plain_captions)] = "thing"
    """Captions for images without one of their own."""
    steps: Annotated[int, Field(ge=1, le=100_000)] = 1000
    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    learning_rate: _Rate = 5e-3
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """How the learning rates fall to 0; ``linear`` begins in the middle of the run."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rates rise from 0."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    flip: bool = True
    """Learn from the mirror images too; not for objects with a left and a right, such as letters."""
    crops: Annotated[int, Field(ge=0, le=16)] = 0
    """Random crops of each image to learn from as well, of 60 to 100% of its sides."""
    outside: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Weight of the error outside of the object's mask, where images have masks."""
    lora: Annotated[LowRank | None, BeforeValidator(_plain_lora)] = None
    """Low-rank changes to the model that are learned beside the word; none by default."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    checkpoint_every: Annotated[int, Field(ge=1)] = 250
    preview_every: Annotated[int, Field(ge=0)] = 250
    """Steps between preview images; 0 for none."""
    previews: Annotated[int, Field(ge=1, le=16)] = 4
    preview_prompt: Annotated[str, Field(min_length=1)] = "a photo of a {}"

    def preparation(self) -> dict[str, Any]:
        """Plain data of the settings that a run depends on. Those that may change when it is continued, such as its
        length, are left out."""
        free = {"steps", "checkpoint_every", "preview_every", "previews", "preview_prompt"}
        return self.model_dump(mode="json", exclude=free)

    def pace(self, step: int) -> float:
        """The factor of the learning rates at ``step`` (from 0)."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        gone = step / self.steps
        fall = {"constant": 1.0, "linear": min(1.0, 2 * (1 - gone)), "cosine": (1 + cos(pi * gone)) / 2}
        return rise * fall[self.schedule]

    @property
    def templates(self) -> tuple[str, ...]:
        """Captions with a ``{}``."""
        return (
            {"thing": OBJECT_CAPTIONS, "style": STYLE_CAPTIONS}[self.captions]
            if isinstance(self.captions, str)
            else self.captions
        )
