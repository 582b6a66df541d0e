"""The interface of a family of models, as the trace uses it."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import diffusers
import torch
from torch import Tensor

from diffucurate.generator.attention.capture.encoders import TextPart
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.processor import Attended, Reading, split_stream
from diffucurate.generator.attention.concept_streams.stream import ConceptStream
from diffucurate.generator.attention.image_passes.image_pass import ImagePass
from diffucurate.generator.attention.settings import BUILT_IN, Contest, TraceSettings
from diffucurate.generator.errors import ModelError


@dataclass(frozen=True)
class Pass:
    """One call of the model, in terms that all families share.

    Attributes:
        latents: (rows, ...), what is denoised.
        context: (rows, tokens, channels), what is read of the text.
        noise: each row's noise level, or one for all: 0 is clean, ``noisiest`` pure noise.
        noisiest: the scale of ``noise``.
        grids: number of tokens of a layer, the text's too where text and image are one stream -> what its maps are.
    """

    latents: Tensor
    context: Tensor
    noise: Any
    noisiest: float
    grids: Mapping[int, MapGrid]

    @property
    def level(self) -> float:
        """The noise level, that of the noisiest row, as a share of the schedule."""
        return float(torch.as_tensor(self.noise).max()) / self.noisiest

    def within(self, noise: tuple[float, float]) -> bool:
        """Whether all rows are between two noise levels, as shares of the schedule."""
        low, high = noise
        if (low, high) == (0, 1):
            return True  # without a wait for the step's value from the device
        levels = torch.as_tensor(self.noise).flatten().tolist()
        return all(low <= level / self.noisiest <= high for level in levels)


class Family(ABC):
    """How the attention of one family of models is read, for one pipeline."""

    #: The kind of attention in the layers.
    reading: ClassVar[Reading]
    #: The family's default of ``TraceSettings.contest``.
    contest: ClassVar[Contest]
    #: The family's default of ``TraceSettings.depth``; None where blocks go by name.
    depth: ClassVar[tuple[float, float] | None] = None
    #: The family's default of ``TraceSettings.tau``.
    tau: ClassVar[int] = 0
    #: The argument of the pipelines that says how much the prompt guides them.
    guidance: ClassVar[str] = "guidance_scale"
    #: Whether guidance has passes of its own, instead of half of the rows.
    guided_apart: ClassVar[bool] = False
    #: Whether the rows of the prompts come before those of guidance.
    prompts_first: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def claims(cls, pipe: Any) -> bool:
        """Whether a pipeline is of this family."""

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self.model = pipe.unet if getattr(pipe, "unet", None) is not None else pipe.transformer
        self._parameters = list(inspect.signature(type(uncompiled(self.model)).forward).parameters)[1:]

    @abstractmethod
    def layers(self, settings: TraceSettings) -> list[str]:
        """The names of the processors to watch, for the blocks that the settings name."""

    def self_layers(self, settings: TraceSettings) -> list[str]:
        """The names of the processors in the same blocks by which pixels attend to each other alone; none where image
        and text are one sequence, since ``layers`` do both there."""
        return [name.replace(".attn2.", ".attn1.") for name in self.layers(settings) if ".attn2." in name]

    def reading_of(self, layer: str) -> Reading:
        """The kind of attention in a layer, by its processor's name."""
        return self.reading

    def processors(self) -> dict[str, Any]:
        """Name -> processor, of all attention layers in their order."""
        return dict(self.model.attn_processors)

    def set_processors(self, processors: Mapping[str, Any]) -> None:
        """Put a processor in each attention layer; see ``processors``."""
        self.model.set_attn_processor(dict(processors))

    def split(self, seen: Attended, current: Pass) -> Attended:
        """What was read of a layer with one stream, as if text and image had one each. The text comes first."""
        tokens = current.context.shape[1]
        return split_stream(seen, slice(tokens), slice(tokens, None))

    def rows_of_images(self, rows: int, images: int) -> slice:
        """Which rows of a pass are those of the prompts, not those of guidance."""
        return slice(images) if self.prompts_first else slice(rows - images, None)

    def guided(self, latents: Tensor, prompts: int) -> bool:
        """Whether guidance doubles the rows: the model is given each of (rows, ...) latents twice. ``prompts`` is how
        many are painted at least."""
        # Some pipelines hold it, but of their last run; direct calls of the model may come after that.
        if self.guided_apart or getattr(self.pipe, "do_classifier_free_guidance", None) is False:
            return False
        half, rest = divmod(latents.shape[0], 2)
        return not rest and half >= max(1, prompts) and torch.equal(latents[:half], latents[half:])

    def concepts(self) -> ConceptStream:
        """The stream in which concepts are processed beside the image.

        Raises:
            ModelError: a family whose layers read words as they are.
        """
        raise ModelError(
            f"{type(self.pipe).__name__} reads words without changing them along with the image, so concepts are no "
            "other than words there; attribute its pixels to any text (Attribution.from_text)"
        )

    def image_pass(self) -> ImagePass | None:
        """How the model is given an image that it need not have painted; None where that takes more than a prompt, or
        is done in steps of a schedule of noise (``probe.image_latents``)."""
        return None

    def reference(self) -> str:
        """The name of the processor of the layer that says how much each layer counts; see ``capture.layer_weights``.

        Raises:
            ModelError: a family without one.
        """
        raise ModelError(
            f"no reference layer is published for {type(self.pipe).__name__}, by which its layers could be weighed; "
            "use trace.layers=None"
        )

    def features(self, seen: Attended) -> Tensor:
        """(rows, pixels, channels): the reference layer's features, by default its queries, heads side by side."""
        return seen.query.transpose(1, 2).flatten(2)

    def refiners(self, settings: TraceSettings) -> list[str]:
        """The names of the processors whose self-attention refines maps."""
        own = self.self_layers(settings)
        return own if own else self.layers(settings)

    @property
    def preset(self) -> TraceSettings:
        """The settings for which figures are published on this family of models, else those of the built-in model."""
        return BUILT_IN

    @property
    def finest(self) -> int:
        """How much coarser than the latent the finest maps are."""
        return 1

    @abstractmethod
    def parts(self) -> list[TextPart]:
        """The text encoders whose tokens the model reads."""

    @abstractmethod
    def read_pass(self, arguments: Mapping[str, Any]) -> Pass | None:
        """A call of the model by its arguments' names; None where the call is not for the image."""

    def filled(self, settings: TraceSettings) -> TraceSettings:
        """Settings with the family's defaults filled in."""
        tau = self.tau if settings.tau is None else settings.tau
        contest = settings.contest or ("all" if settings.rescale else self.contest)
        refine_at = self.finest if settings.layers and settings.refine_at is None else settings.refine_at
        return settings.changed(contest=contest, depth=settings.depth or self.depth, tau=tau, refine_at=refine_at)

    def grid(self, layer: str, latent: tuple[int, int]) -> MapGrid:
        """What a layer's maps are, for latents of this height and width: where text is read by layers of its own.

        Raises:
            ModelError: text and image are one sequence, whose parts a pass alone tells apart (``Pass.grids``).
        """
        raise ModelError(f"the sizes of {type(self.pipe).__name__}'s maps are known of its passes only")

    @property
    def channels(self) -> int:
        """The width of the text encoders' states that the model reads."""
        config = self.model.config
        width = config.get("caption_channels") or config.cross_attention_dim
        return int(width if isinstance(width, int) else width[0])

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """Texts as the pipeline's encoders read them: the states (texts, tokens, channels), and which tokens can be
        attended to, (texts, tokens) bool; None where all can."""
        with torch.no_grad():
            encoded = self.pipe.encode_prompt(
                prompt=list(texts),
                device=self.pipe._execution_device,
                num_images_per_prompt=1,
                do_classifier_free_guidance=False,
            )
        return encoded[0], None

    def text_states(self, states: Tensor) -> Tensor:
        """A text encoder's states as the model's layers read them."""
        return states

    def layer(self, name: str) -> Any:
        """The attention layer of a processor's name."""
        return uncompiled(self.model).get_submodule(name.removesuffix(".processor"))

    def device_of(self, layer: Any) -> torch.device:
        """The device that one of the model's layers works on."""
        device = next(layer.parameters()).device
        # "meta", or in the CPU's memory by a hook: its weights come when they are called.
        waits = device.type == "meta" or hasattr(uncompiled(self.model), "_hf_hook")
        return self.pipe._execution_device if waits else device

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call of the model, by their names."""
        return {**dict(zip(self._parameters, args, strict=False)), **kwargs}

    @property
    def schedule(self) -> float:
        """The number of noise steps the model was trained with."""
        return float(self.pipe.scheduler.config.get("num_train_timesteps", 1000))


def uncompiled(model: Any) -> Any:
    """The model itself, where ``torch.compile`` was wrapped around it."""
    return getattr(model, "_orig_mod", model)


def transformer_of(pipe: Any, kind: str) -> bool:
    """Whether a pipeline's denoiser is diffusers's transformer class of this name; never where the installed version
    has none of this name yet."""
    return isinstance(uncompiled(getattr(pipe, "transformer", None)), getattr(diffusers, kind, ()))


def patches(latents: Tensor, side: int) -> dict[int, MapGrid]:
    """The one size of a transformer's maps, where squares of ``side`` pixels of (rows, channels, height, width)
    latents are a token each."""
    height, width = latents.shape[-2] // side, latents.shape[-1] // side
    return {height * width: MapGrid(side, (height, width))}


def by_depth(names: Sequence[str], depth: tuple[float, float]) -> list[str]:
    """Those of one stack's layers that lie between two shares of its depth, 0 the first and 1 the last; never none."""
    first, last = (int(share * (len(names) - 1) + 0.5) for share in depth)
    return list(names[first : last + 1])


def at_share(names: Sequence[str], share: float) -> str:
    """The one of a stack's layers that lies at a share of its depth, 0 the first and 1 the last."""
    return by_depth(names, (share, share))[0]


def same_context(context: Tensor, other: Tensor) -> bool:
    """Whether two passes read the same text: a negative prompt may have passes of its own."""
    return context is other or (context.shape == other.shape and torch.equal(context, other))
