"""The trace: a context manager that watches how pixels attend to words while a pipeline paints.

What differs between models is in ``families``; here is what they share. Each call of the model is a pass, in
which the watched layers' queries and keys are added up for the rows of the images that are painted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.encoders import Encoders
from diffucurate.generator.attention.families import Pass, family_of, same_context
from diffucurate.generator.attention.maps import MapSums
from diffucurate.generator.attention.processor import Attended, Observer, traced
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.tokens import joined, locate
from diffucurate.generator.errors import ModelError

Phrases = Mapping[str, Sequence[str]]


class AttentionTrace:
    """Traces one run of a pipeline, or direct calls of its model on one batch.

    >>> with AttentionTrace(pipe, {"car": ["car", "sedan"]}) as trace:
    ...     images = pipe(["a red car", "two sedans at night"]).images
    >>> heatmaps = trace.maps()  # one {"car": (h, w) float32} per image

    Images come out as they would without the trace. Where guidance doubles the batch, only its conditional
    half, the second, is read.

    Args:
        pipe: a pipeline with a ``unet`` or ``transformer`` of a family that can be traced (``attention.families``),
            its tokenizers and, unless ``prompts`` are given, its text encoders.
        phrases: class -> the phrases that mean it, one mapping for all prompts or one per prompt. A class that a
            prompt does not mention gets no map for it.
        prompts: the prompts, where the pipeline does not encode them itself within the trace (embeddings
            made before, direct calls of the model). By default they are read where the text encoders get them.
        settings: what is read, and how it is combined.

    Raises:
        ModelError: a model of another kind.
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
        self._family = family_of(pipe)
        settings = settings or TraceSettings()
        #: The settings with what they leave to the model's family filled in.
        self.settings = replace(
            settings,
            contest=settings.contest or self._family.contest,
            depth=settings.depth or self._family.depth,
        )
        self._encoders = Encoders(self._family.parts(), [prompts] if isinstance(prompts, str) else prompts)
        self._layers = self._family.layers(self.settings)
        self._saved: dict[str, Any] = {}
        self._handle: Any = None
        self._sums: MapSums | None = None
        self._context: Any = None  # of the first pass
        self._pass: Pass | None = None
        self._passes = self._counted = self._images = self._encoded = 0
        self._absent: list[tuple[str, ...]] = []

    def __enter__(self) -> AttentionTrace:
        model = self._family.model
        self._saved = dict(model.attn_processors)
        watched = {name: traced(self._saved[name], self._family.reading, self._reader(name)) for name in self._layers}
        self._handle = model.register_forward_pre_hook(self._begin_pass, with_kwargs=True)
        self._encoders.listen()
        model.set_attn_processor({**self._saved, **watched})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.remove()
        self._encoders.release()
        self._family.model.set_attn_processor(dict(self._saved))
        if kind is not None and kind.__module__ == "torch._dynamo.exc":
            raise ModelError(
                "torch.compile could not compile the model with its attention traced; compile it without "
                "fullgraph=True, or not at all"
            ) from error

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
                f"none of the {self._passes} passes through the model had attention that the settings ask for "
                f"({self.settings}); widen them"
            )
        return self._sums.combine(self._counted)

    def absent(self) -> list[tuple[str, ...]]:
        """The asked-for classes that each image's prompt does not mention within the text encoders' context."""
        return self._absent

    @torch.compiler.disable
    def _begin_pass(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._pass = None
        current = self._family.look(self._family.named(args, kwargs))
        if current is None:
            return
        if self._sums is None:
            self._sums = self._find_classes(current)
        elif self._encoders.calls > self._encoded:
            raise ModelError("a trace covers one run of a pipeline; open a new AttentionTrace for the next")
        elif self._family.guided_apart and not same_context(current.context, self._context):
            return
        rows = current.latents.shape[0]
        if rows not in (self._images, 2 * self._images):
            raise ModelError(f"the model was called with {rows} images after {self._images}; trace one batch at once")
        self._passes += 1
        if self._sums.wanted and current.within(self.settings.noise):
            self._counted += 1
            self._pass = current

    def _find_classes(self, first: Pass) -> MapSums:
        """The tokens of all classes in the prompts that are painted, which the first pass tells."""
        count, rows = self._encoders.prompts, first.latents.shape[0]
        guided = self._guided(first.latents, count)
        self._images, self._context = rows // 2 if guided else rows, first.context
        self._encoded = self._encoders.calls
        if count and self._images % count:
            raise ModelError(f"the model was called with {self._images} images for {count} prompts")
        painted = self._encoders.painted(first.context, self._images, guided)
        if not painted:
            raise ModelError(
                "the trace cannot tell which prompts are painted, since not all of them were encoded inside it; "
                "give them as AttentionTrace(..., prompts=[...])"
            )
        phrases = [self._phrases] * count if isinstance(self._phrases, Mapping) else list(self._phrases)
        if len(phrases) != count:
            raise ModelError(f"phrases are given for {len(phrases)} prompts, but {count} are painted")
        length = first.context.shape[1]
        prompts = [
            joined(
                (part.start, locate(part.tokenizer, ids[row][: length - part.start], asked)) for part, ids in painted
            )
            for row, asked in enumerate(phrases)
        ]
        absent = [
            tuple(label for label in asked if label not in prompt.classes)
            for prompt, asked in zip(prompts, phrases, strict=True)
        ]
        each = self._images // count
        self._absent = [labels for labels in absent for _ in range(each)]
        return MapSums([prompt for prompt in prompts for _ in range(each)], length, self.settings)

    def _guided(self, latents: Tensor, prompts: int) -> bool:
        """Whether guidance doubles the rows: the model is given each latent twice."""
        # Some pipelines say whether, but of their last run; direct calls of the model may come after that.
        if self._family.guided_apart or getattr(self._pipe, "do_classifier_free_guidance", None) is False:
            return False
        half, rest = divmod(latents.shape[0], 2)
        return not rest and half >= max(1, prompts) and torch.equal(latents[:half], latents[half:])

    def _reader(self, layer: str) -> Callable[[int], Observer | None]:
        """What a layer's processor asks before each call: who gets its queries and keys."""

        def begin(pixels: int) -> Observer | None:
            current, sums = self._pass, self._sums
            if current is None or sums is None:
                return None
            if pixels not in current.grids:
                raise ModelError(f"{layer} has {pixels} pixels, which do not fit the latent; it cannot be traced")
            grid = current.grids[pixels]
            if not self.settings.reads(grid.factor):
                return None

            def observe(seen: Attended) -> None:
                rows = slice(seen.query.shape[0] - self._images, None)  # the unconditional half comes first
                query = seen.query[rows, :, : prod(grid.size)]  # what comes after the image are pictures to go by
                mask = None if seen.mask is None else seen.mask[rows]
                rivals = None if seen.rivals is None else seen.rivals[rows]
                sums.add(layer, grid, query, seen.key[rows], mask, seen.scale, rivals)

            return observe

        return begin
