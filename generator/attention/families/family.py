"""What the trace asks of every family of models."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from diffucurate.generator.attention.encoders import TextPart
from diffucurate.generator.attention.maps import MapGrid
from diffucurate.generator.attention.processor import Reading
from diffucurate.generator.attention.settings import Contest, TraceSettings


@dataclass(frozen=True)
class Pass:
    """One call of the model, in terms that all families share.

    Attributes:
        latents: (rows, ...), what is denoised.
        context: (rows, tokens, channels), what is read of the text.
        noise: each row's noise level, or one for all: 0 is clean, ``noisiest`` pure noise.
        noisiest: the scale of ``noise``.
        grids: number of pixels of a layer -> what its maps are.
    """

    latents: Tensor
    context: Tensor
    noise: Any
    noisiest: float
    grids: Mapping[int, MapGrid]

    def within(self, noise: tuple[float, float]) -> bool:
        """Whether all rows are between two noise levels, as shares of the schedule."""
        low, high = noise
        if (low, high) == (0, 1):
            return True  # without waiting for the device to tell the step
        levels = torch.as_tensor(self.noise).flatten().tolist()
        return all(low <= level / self.noisiest <= high for level in levels)


class Family(ABC):
    """How the attention of one family of models is read, for one pipeline."""

    #: What the layers' processors do.
    reading: ClassVar[Reading]
    #: What ``TraceSettings.contest`` is where it is left to the family.
    contest: ClassVar[Contest]
    #: What ``TraceSettings.depth`` is where it is left to the family; None where blocks go by name.
    depth: ClassVar[tuple[float, float] | None] = None
    #: Whether guidance has passes of its own, instead of a first half of the rows.
    guided_apart: ClassVar[bool] = False

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

    @abstractmethod
    def parts(self) -> list[TextPart]:
        """The text encoders whose tokens the model reads."""

    @abstractmethod
    def look(self, arguments: Mapping[str, Any]) -> Pass | None:
        """A call of the model by its arguments' names; None where it is made for something else than the image."""

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


def transformer_of(pipe: Any, kind: type) -> bool:
    """Whether a pipeline's denoiser is a transformer of this class."""
    return isinstance(uncompiled(getattr(pipe, "transformer", None)), kind)


def patches(latents: Tensor, side: int) -> dict[int, MapGrid]:
    """The one size of a transformer's maps, where squares of ``side`` pixels of (rows, channels, height, width)
    latents are a token each."""
    height, width = latents.shape[-2] // side, latents.shape[-1] // side
    return {height * width: MapGrid(side, (height, width))}


def by_depth(names: Sequence[str], depth: tuple[float, float]) -> list[str]:
    """Those of one stack's layers that lie between two shares of its depth, 0 the first and 1 the last; never none."""
    first, last = (int(share * (len(names) - 1) + 0.5) for share in depth)
    return list(names[first : last + 1])


def same_context(context: Tensor, other: Tensor) -> bool:
    """Whether two passes read the same text: a negative prompt may have passes of its own."""
    return context is other or (context.shape == other.shape and torch.equal(context, other))
