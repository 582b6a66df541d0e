"""Mask-to-image: while a pipeline paints, each pixel attends only to the words of the class that a layout gives it.

After FreestyleNet (Xue et al. 2023) and FreeMask (Yang et al. 2023), which train a model for it; here any model is
steered as it is, so that it obeys less. What belongs to no class, start tokens and padding are seen by all pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.encoders import Encoders, mentions
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.attention.control.places import AttentionPlace, attention_places
from diffucurate.generator.attention.control.processor import AttentionCall, Change, steered
from diffucurate.generator.attention.control.word_bias import border_bias, word_bias
from diffucurate.generator.attention.families import Pass, family_of, same_context


@dataclass(frozen=True)
class LayoutStrength:
    """How strictly layouts hold.

    Attributes:
        until: the share of the steps, from the first, in which they do.
        boost: how many times as much a pixel attends to the words of its class.
        shared: whether words of no class are seen by pixels of one.
        border: whether pixels attend to no pixels of another class.
    """

    until: float = 1.0
    boost: float = 1.0
    shared: bool = True
    border: bool = False


#: Outlines of objects that become others, after Shape-Guided Diffusion (Park et al. 2024), with a stronger boost.
OUTLINES = LayoutStrength(boost=16.0, border=True)


class LayoutControl:
    """A block in which one run of a pipeline, or direct calls of its model, paint by layouts.

    Args:
        pipe: as for ``AttentionTrace``; a trace that is opened inside reads what the model would attend to by itself.
        layouts: one per image.
        prompts: one per image.
        phrases: per image class -> the phrases of it in the prompt.
        strength: how strictly layouts hold.
        ids: as for ``AttentionTrace``.

    Raises:
        ModelError: a model whose attention to words cannot be masked.
    """

    def __init__(
        self,
        pipe: Any,
        layouts: Sequence[Layout],
        prompts: Sequence[str],
        phrases: Sequence[Mapping[str, Sequence[str]]],
        strength: LayoutStrength,
        ids: Sequence[list[list[int]]] | None = None,
    ) -> None:
        self._pipe, self._family, self._strength = pipe, family_of(pipe), strength
        self._layers = attention_places(self._family, among_pixels=strength.border)
        self._layouts, self._phrases = list(layouts), list(phrases)
        self._encoders = Encoders(self._family.parts(), prompts, ids)
        self._saved: dict[str, Any] = {}
        self._handle: Any = None
        self._pass: Pass | None = None
        self._context: Any = None
        self._passes = 0
        self._tokens: list[PromptTokens] = []
        self._word_biases: dict[tuple[int, int], Tensor] = {}
        self._border_biases: dict[tuple[int, int], Tensor] = {}

    def __enter__(self) -> LayoutControl:
        self._saved = self._family.processors()
        self._handle = self._family.model.register_forward_pre_hook(self._begin_pass, with_kwargs=True)
        watched = {name: steered(self._saved[name], self._changer(place)) for name, place in self._layers.items()}
        self._family.set_processors({**self._saved, **watched})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.remove()
        self._family.set_processors(self._saved)

    @torch.compiler.disable
    def _begin_pass(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._pass = None
        current = self._family.read_pass(self._family.named(args, kwargs))
        if current is None:
            return
        if not self._tokens:
            self._context = current.context
            painted = self._encoders.painted(current.context, False)
            self._tokens = mentions(painted, self._phrases, current.context.shape[1])
        elif self._family.guided_apart and not same_context(current.context, self._context):
            return  # what guidance is against
        if self._passes < self._strength.until * len(self._pipe.scheduler.timesteps) - 1e-6:
            self._pass = current
        self._passes += 1

    def _changer(self, place: AttentionPlace) -> Callable[[], Change | None]:
        def begin() -> Change | None:
            return None if self._pass is None else change

        def change(call: AttentionCall) -> Tensor:
            assert self._pass is not None
            queries, keys = call.query.shape[2], call.key.shape[2]
            spans = place.spans(queries, keys, self._pass.context.shape[1])
            grid = self._pass.grids.get(spans.pixels.stop - spans.pixels.start)
            if grid is None:
                return call.attend()
            rows, images = call.query.shape[0], len(self._layouts)
            bias = torch.zeros(rows, 1, queries, keys, device=call.query.device)
            if spans.tokens is not None:
                prompts = self._family.rows_of_images(rows, images)
                bias[prompts, 0, spans.pixels, spans.tokens] = self._words(grid).to(bias.device)
            if spans.others is not None and self._strength.border:  # guidance's rows too
                borders = self._borders(grid).to(bias.device)
                bias[:, 0, spans.pixels, spans.others] = borders.repeat(rows // images, 1, 1)
            return call.biased(bias).attend()

        return begin

    def _words(self, grid: MapGrid) -> Tensor:
        """(images, pixels, tokens), to be added to the scores of words."""
        if grid.size not in self._word_biases:
            length, strength = self._context.shape[1], self._strength
            self._word_biases[grid.size] = torch.stack(
                [
                    word_bias(layout, tokens, length, grid.size, strength.boost, shared=strength.shared)
                    for layout, tokens in zip(self._layouts, self._tokens, strict=True)
                ]
            )
        return self._word_biases[grid.size]

    def _borders(self, grid: MapGrid) -> Tensor:
        """(images, pixels, pixels), to be added to the scores of other pixels."""
        if grid.size not in self._border_biases:
            self._border_biases[grid.size] = torch.stack([border_bias(each, grid.size) for each in self._layouts])
        return self._border_biases[grid.size]
