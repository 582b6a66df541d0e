"""The trace: a context manager that watches a UNet's cross-attention while a pipeline paints.

Made for latent diffusion pipelines with a UNet whose cross-attention layers are called ``attn2`` and a CLIP
text encoder (Stable Diffusion 1.x, 2.x, XL and what is laid out like them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import Attention
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.maps import MapGrid, MapSums
from diffucurate.generator.attention.processor import Observer, traced
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.tokens import locate
from diffucurate.generator.errors import ModelError

Phrases = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class _Pass:
    """One call of the UNet: how many of its last rows are the images', and which maps their layers have."""

    images: int
    grids: dict[int, MapGrid]


class AttentionTrace:
    """Traces one run of a pipeline, or direct calls of its UNet on one batch.

    >>> with AttentionTrace(pipe, {"car": ["car", "sedan"]}) as trace:
    ...     images = pipe(["a red car", "two sedans at night"]).images
    >>> heatmaps = trace.maps()  # one {"car": (h, w) float32} per image

    Images come out as they would without the trace. Where guidance doubles the batch, only its conditional
    half, the second, is read.

    Args:
        pipe: a pipeline with ``unet``, ``tokenizer`` and, unless ``prompts`` are given, ``text_encoder``.
        phrases: class -> the phrases that mean it, one mapping for all prompts or one per prompt. A class that a
            prompt does not mention gets no map for it.
        prompts: the prompts, where the pipeline does not encode them itself within the trace (embeddings
            made before, direct calls of the UNet). By default they are read where the text encoder gets them.
        settings: what is read, and how it is combined.

    Raises:
        ModelError: a model without cross-attention of this kind.
    """

    def __init__(
        self,
        pipe: Any,
        phrases: Phrases | Sequence[Phrases],
        *,
        prompts: str | Sequence[str] | None = None,
        settings: TraceSettings | None = None,
    ) -> None:
        self._pipe, self._phrases = pipe, phrases
        self._settings = settings or TraceSettings()
        self._ids: list[list[list[int]]] = []  # one (prompts, tokens) per call of the text encoder
        self._given = prompts is not None
        if prompts is not None:
            texts = [prompts] if isinstance(prompts, str) else list(prompts)
            length = pipe.tokenizer.model_max_length
            self._ids.append(pipe.tokenizer(texts, padding="max_length", max_length=length, truncation=True).input_ids)
        self._layers = _cross_attention(pipe, self._settings)
        self._schedule = float(pipe.scheduler.config.get("num_train_timesteps", 1000))
        self._saved: dict[str, Any] = {}
        self._handles: list[Any] = []
        self._sums: MapSums | None = None
        self._pass: _Pass | None = None
        self._calls = self._counted = self._images = 0
        self._absent: list[tuple[str, ...]] = []

    def __enter__(self) -> AttentionTrace:
        unet = self._pipe.unet
        self._saved = dict(unet.attn_processors)
        watched = {name: traced(self._saved[name], self._reader(name)) for name in self._layers}
        self._handles.append(unet.register_forward_pre_hook(self._begin_pass, with_kwargs=True))
        if not self._given and self._pipe.text_encoder is not None:
            self._handles.append(self._pipe.text_encoder.register_forward_pre_hook(self._read_ids, with_kwargs=True))
        unet.set_attn_processor({**self._saved, **watched})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._pipe.unet.set_attn_processor(dict(self._saved))

    def maps(self) -> list[dict[str, NDArray[np.float32]]]:
        """One mapping class -> raw map per image, in the order of the pipeline's images.

        Maps are (h, w) float32 >= 0 of the size of the finest attention that was read. An image whose prompt
        mentions no class has an empty mapping.

        Raises:
            ModelError: nothing was traced, or nothing of what the settings ask for.
        """
        if self._sums is None:
            raise ModelError("nothing was traced: call the pipeline inside the trace's `with` block")
        if self._sums.wanted and self._sums.empty:
            raise ModelError(
                f"none of the {self._calls} passes through the model had attention that the settings ask for "
                f"({self._settings}); widen them"
            )
        return self._sums.combine(self._counted)

    def absent(self) -> list[tuple[str, ...]]:
        """The asked-for classes that each image's prompt does not mention within the text encoder's context."""
        return self._absent

    def _read_ids(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._calls:
            raise ModelError("a trace covers one run of a pipeline; open a new AttentionTrace for the next")
        ids: Tensor = args[0] if args else kwargs["input_ids"]
        self._ids.append(ids.tolist())

    def _begin_pass(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        named = {**dict(zip(("sample", "timestep", "encoder_hidden_states"), args, strict=False)), **kwargs}
        sample, context = named["sample"], named["encoder_hidden_states"]
        # An attribute of pipelines that exists only once they were called.
        guided = bool(getattr(self._pipe, "do_classifier_free_guidance", False))
        if self._sums is None:
            self._sums = self._find_classes(sample.shape[0], context.shape[1], guided)
        images = sample.shape[0] // 2 if guided and sample.shape[0] != self._images else sample.shape[0]
        if images != self._images:
            raise ModelError(f"the model was called with {images} images after {self._images}; trace one batch at once")
        self._calls += 1
        counts = self._sums.wanted and self._in_range(named["timestep"])
        self._counted += counts
        self._pass = _Pass(images, _grids(sample.shape[-2], sample.shape[-1])) if counts else None

    def _in_range(self, timestep: Any) -> bool:
        low, high = self._settings.noise
        if (low, high) == (0, 1):
            return True  # without waiting for the device to tell the step
        return all(low <= step / self._schedule <= high for step in torch.as_tensor(timestep).flatten().tolist())

    def _find_classes(self, rows: int, length: int, guided: bool) -> MapSums:
        if not self._ids or (guided and not self._given and len(self._ids) < 2):
            raise ModelError(
                "the trace cannot tell which prompts are painted, since not all of them were encoded inside it; "
                "give them as AttentionTrace(..., prompts=[...])"
            )
        ids = self._ids[0]  # pipelines encode the prompts before the negative prompts
        # The flag outlives a guided run, so direct calls of the UNet go by their number of rows.
        guided = guided and rows >= 2 * len(ids)
        self._images = rows // 2 if guided else rows
        if self._images % len(ids):
            raise ModelError(f"the model was called with {self._images} images for {len(ids)} prompts")
        phrases = [self._phrases] * len(ids) if isinstance(self._phrases, Mapping) else list(self._phrases)
        if len(phrases) != len(ids):
            raise ModelError(f"phrases are given for {len(phrases)} prompts, but {len(ids)} are painted")
        prompts = [locate(self._pipe.tokenizer, row[:length], asked) for row, asked in zip(ids, phrases, strict=True)]
        absent = [
            tuple(label for label in asked if label not in prompt.classes)
            for prompt, asked in zip(prompts, phrases, strict=True)
        ]
        each = self._images // len(ids)
        self._absent = [labels for labels in absent for _ in range(each)]
        return MapSums([prompt for prompt in prompts for _ in range(each)], length, self._settings)

    def _reader(self, layer: str) -> Callable[[int], Observer | None]:
        """What a layer's processor asks before each call: who gets its queries and keys."""

        def begin(pixels: int) -> Observer | None:
            current, sums = self._pass, self._sums
            if current is None or sums is None:
                return None
            if pixels not in current.grids:
                raise ModelError(f"{layer} has {pixels} pixels, which do not fit the latent; it cannot be traced")
            grid = current.grids[pixels]
            if not self._settings.reads(grid.factor):
                return None

            def observe(attn: Attention, query: Tensor, key: Tensor, mask: Tensor | None) -> None:
                rows = slice(query.shape[0] - current.images, None)  # guidance puts the unconditional half first
                sums.add(layer, grid, query[rows], key[rows], None if mask is None else mask[rows], attn.scale)

            return observe

        return begin


def _cross_attention(pipe: Any, settings: TraceSettings) -> list[str]:
    """The names of the processors whose layers attend to the text, in the blocks that the settings name."""
    processors = getattr(getattr(pipe, "unet", None), "attn_processors", {})
    names = [name for name in processors if name.endswith(".attn2.processor")]
    if not names:
        raise ModelError(
            f"{type(pipe).__name__} has no UNet with cross-attention to text; attention can be traced in Stable "
            "Diffusion 1.x, 2.x and XL and models laid out like them"
        )
    return [name for name in names if name.startswith(tuple(f"{block}_block" for block in settings.blocks))]


def _grids(height: int, width: int) -> dict[int, MapGrid]:
    """Number of pixels -> grid, for every size that halving a latent of this size leads to.

    UNets halve by convolutions of stride 2, which round up; so neither a square nor powers of two are assumed.
    """
    grids, factor = {}, 1
    while height * width not in grids:
        grids[height * width] = MapGrid(factor, (height, width))
        height, width, factor = -(-height // 2), -(-width // 2), factor * 2
    return grids
