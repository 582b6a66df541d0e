"""Mask-to-image: while a pipeline paints, each pixel attends only to the words of the class that a layout gives it.

After FreestyleNet (Xue et al. 2023) and FreeMask (Yang et al. 2023), which train a model for it; here any model is
steered as it is, so that it obeys less. What belongs to no class, start tokens and padding are seen by all pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.encoders import Encoders, mentions
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.attention.control.processor import AttentionCall, Change, steered
from diffucurate.generator.attention.control.text_place import TextPlace, text_place
from diffucurate.generator.attention.families import Pass, family_of, same_context
from diffucurate.generator.labels.model import IGNORE


@dataclass(frozen=True)
class LayoutStrength:
    """``until`` is the share of the steps, from the first, in which layouts hold. ``boost`` is how many times as much a
    pixel attends to the words of its class. ``shared`` says whether words of no class are seen by pixels of one."""

    until: float = 1.0
    boost: float = 1.0
    shared: bool = True


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
        self._layers: dict[str, TextPlace] = text_place(self._family)
        self._layouts, self._phrases = list(layouts), list(phrases)
        self._encoders = Encoders(self._family.parts(), prompts, ids)
        self._saved: dict[str, Any] = {}
        self._handle: Any = None
        self._pass: Pass | None = None
        self._context: Any = None
        self._passes = 0
        self._tokens: list[PromptTokens] = []
        self._biases: dict[tuple[tuple[int, int], torch.device], Tensor] = {}

    def __enter__(self) -> LayoutControl:
        self._saved = self._family.processors()
        self._handle = self._family.model.register_forward_pre_hook(self._begin_pass, with_kwargs=True)
        watched = {name: steered(self._saved[name], self._changer(name)) for name in self._layers}
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

    def _changer(self, layer: str) -> Any:
        place = self._layers[layer]

        def begin() -> Change | None:
            return None if self._pass is None else change

        def change(call: AttentionCall) -> Tensor:
            assert self._pass is not None
            text = self._pass.context.shape[1]
            pixels, tokens = place.spans(call.query.shape[2], call.key.shape[2], text)
            grid = self._pass.grids.get(pixels.stop - pixels.start)
            if grid is None:
                return call.attend()
            bias = self._bias(grid, call.query.device)
            rows = self._family.rows_of_images(call.query.shape[0], len(self._layouts))
            whole = torch.zeros(call.query.shape[0], 1, call.query.shape[2], call.key.shape[2], device=bias.device)
            whole[rows, 0, pixels, tokens] = bias
            return call.biased(whole).attend()

        return begin

    def _bias(self, grid: MapGrid, device: torch.device) -> Tensor:
        """(images, pixels, tokens), to be added to the scores."""
        key = (grid.size, device)
        if key not in self._biases:
            each = [
                self._bias_of(layout, tokens, grid) for layout, tokens in zip(self._layouts, self._tokens, strict=True)
            ]
            self._biases[key] = torch.stack(each).to(device)
        return self._biases[key]

    def _bias_of(self, layout: Layout, prompt: PromptTokens, grid: MapGrid) -> Tensor:
        length = self._context.shape[1]
        cells = torch.from_numpy(layout.at(grid.size)).flatten()
        bias = torch.zeros(len(cells), length)
        owned = torch.zeros(length, dtype=torch.bool)
        for label, positions in prompt.classes.items():
            owned[list(positions)] = label in layout.classes
        others = torch.zeros(length, dtype=torch.bool)
        others[list(prompt.content)] = True
        others &= ~owned
        bias[cells != IGNORE] = bias[cells != IGNORE].masked_fill(owned, -torch.inf)
        for index, label in enumerate(layout.classes):
            inside = cells == 1 + index
            if label not in prompt.classes or not inside.any():
                continue  # its pixels see what belongs to no class
            own = torch.zeros(length, dtype=torch.bool)
            own[list(prompt.classes[label])] = True
            row = torch.zeros(length).masked_fill(owned & ~own, -torch.inf)
            if not self._strength.shared:
                row = row.masked_fill(others, -torch.inf)
            bias[inside] = row.masked_fill(own, float(torch.tensor(self._strength.boost).log()))
        return bias
