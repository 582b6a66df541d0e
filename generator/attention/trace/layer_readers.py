"""What a trace reads in the layers of a model during a pass: words, self-attention, the weights of heads and layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.head_weights import head_weights, projection_of
from diffucurate.generator.attention.capture.layer_weights import LayerWeights
from diffucurate.generator.attention.capture.maps import AttentionAccumulator, MapGrid
from diffucurate.generator.attention.capture.processor import (
    SELF,
    Attended,
    Observer,
    one_stream,
    traced,
    with_outputs,
)
from diffucurate.generator.attention.capture.self_attention import SelfAttention
from diffucurate.generator.attention.families import Family, Pass
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.attribution import Keys
from diffucurate.generator.attention.trace.query_keeper import QueryKeeper
from diffucurate.generator.errors import ModelError


class LayerReaders:
    """The readers of one run's layers.

    Attributes:
        refinement: the self-attention that refines maps, None where the settings do not refine.
        weights: how much each layer counts, None where all count by their number of heads.
        sums: the attention to words; None until the first pass begins.
        keys: those that are asked in place of the prompts' words, or None.
        images: the number of images.
    """

    def __init__(self, family: Family, settings: TraceSettings, keeper: QueryKeeper | None) -> None:
        self._family, self._settings, self._keeper = family, settings, keeper
        self.refinement: SelfAttention | None = None
        if settings.tau:
            self.refinement = SelfAttention(settings.refine_at, settings.refine_noise or (0.0, 1.0))
        self.weights = LayerWeights() if settings.layers is not None else None
        self.sums: AttentionAccumulator | None = None
        self.keys: Keys | None = None
        self.images = 0
        self._read = set(family.layers(settings))
        self._refiners = set(family.refiners(settings)) if self.refinement is not None else set()
        self._reference = family.reference() if self.weights is not None else None
        self._projections: dict[str, Tensor] = {}
        self._pass: Pass | None = None
        self._counts = self._kept = self._refines = False  # how the pass is used

    def processors(self, saved: Mapping[str, Any]) -> dict[str, Any]:
        """The processors to put in the place of those of the layers that are read."""
        family, settings = self._family, self._settings
        among_pixels = set(family.self_layers(settings)) if self.weights is not None else set()
        watched = {}
        for name in dict.fromkeys([*family.layers(settings), *([self._reference] if self._reference else [])]):
            reading = family.reading_of(name)
            if settings.heads == "contribution":
                reading = with_outputs(reading)
            watched[name] = traced(saved[name], reading, self._reader(name))
        for name in [name for name in saved if name in among_pixels | self._refiners and name not in watched]:
            watched[name] = traced(saved[name], SELF, self._self_reader(name))
        return watched

    def begin_pass(
        self, current: Pass | None, *, counts: bool = False, kept: bool = False, refines: bool = False
    ) -> None:
        """Say what the pass that begins is used for: for words, to keep its queries, for refinement; or for nothing."""
        self._counts, self._kept, self._refines = counts, kept, refines
        self._pass = current if counts or kept or refines else None
        if self.weights is not None:
            self.weights.begin_pass()

    def forget(self) -> None:
        """Forget what was read for words and refinement in earlier passes."""
        if self.sums is not None:
            self.sums.clear()
        if self.weights is not None:
            self.weights = LayerWeights()
        if self.refinement is not None:
            self.refinement.clear()

    def _reader(self, layer: str) -> Callable[[int], Observer | None]:
        """The ``begin`` of a layer's processor: it returns the observer of the queries and keys of a call."""
        single = one_stream(self._family.reading_of(layer))

        def begin(length: int) -> Observer | None:
            current = self._pass
            if current is None or self.sums is None:
                return None
            grid = self._grid(layer, length)
            counts = self._counts and self.sums.wanted and layer in self._read and self._settings.reads(grid.factor)
            kept = self._kept and self._keeper is not None and self._keeper.settings.reads(grid.factor)
            refers = self._counts and layer == self._reference
            if not counts and not kept and not refers:
                return None

            def observe(seen: Attended) -> None:
                seen = self._of_images(self._family.split(seen, current) if single else seen, prod(grid.size))
                if kept and self._keeper is not None:
                    self._keeper.add(layer, grid, seen.query, seen.scale)
                if refers and self.weights is not None:
                    self.weights.refer(grid, self._family.features(seen))
                if counts:
                    self._add(layer, grid, seen)

            return observe

        return begin

    def _add(self, layer: str, grid: MapGrid, seen: Attended) -> None:
        """Add a layer's attention to words, and where image and text are one sequence also that to pixels."""
        assert self.sums is not None
        by_head = self._head_weights(layer, seen)
        if self.keys is not None:
            self.keys.add(self.sums, layer, grid, seen.query, seen.scale, by_head)
            return
        self.sums.add(layer, grid, seen.query, seen.key, seen.mask, seen.scale, seen.rivals, by_head)
        if seen.rivals is None:
            return
        own, others = seen.rivals[:, :, : prod(grid.size)], seen.rivals[:, :, prod(grid.size) :]
        refinement = self.refinement if self._refines and layer in self._refiners else None
        # GoCA's shares are those of the layer's own softmax, in which words take part.
        text = torch.cat([seen.key, others], dim=2) if self.weights is not None else None
        if refinement is not None and refinement.reads(grid):
            refinement.add(grid, seen.query, own, seen.scale, text)
        if self.weights is not None:
            self.weights.add(layer, grid, seen.query, own, seen.scale, text)

    def _self_reader(self, layer: str) -> Callable[[int], Observer | None]:
        """The same for a layer by which pixels attend to each other alone."""
        partner = layer.replace(".attn1.", ".attn2.")

        def begin(pixels: int) -> Observer | None:
            if self._pass is None:
                return None
            grid = self._grid(layer, pixels)
            refinement = self.refinement if self._refines and layer in self._refiners else None
            refinement = refinement if refinement is not None and refinement.reads(grid) else None
            weighs = self._counts and partner in self._read and self._settings.reads(grid.factor)
            weights = self.weights if weighs else None
            if refinement is None and weights is None:
                return None

            def observe(seen: Attended) -> None:
                seen = self._of_images(seen, pixels)
                if refinement is not None:
                    refinement.add(grid, seen.query, seen.key, seen.scale)
                if weights is not None:
                    weights.add(partner, grid, seen.query, seen.key, seen.scale)

            return observe

        return begin

    def _of_images(self, seen: Attended, pixels: int) -> Attended:
        """What belongs to the images that are painted: their rows, and their pixels, which come before those of images
        that they are painted after."""
        rows = self._family.rows_of_images(seen.query.shape[0], self.images)
        return replace(
            seen,
            query=seen.query[rows, :, :pixels],
            key=seen.key[rows],
            mask=None if seen.mask is None else seen.mask[rows],
            rivals=None if seen.rivals is None else seen.rivals[rows],
            outputs=None if seen.outputs is None else seen.outputs[rows, :pixels],
            result=None if seen.result is None else seen.result[rows, :pixels],
        )

    def _head_weights(self, layer: str, seen: Attended) -> Tensor | None:
        """(images, heads, pixels), how much each head contributes; None where all count the same."""
        if self._settings.heads != "contribution" or seen.outputs is None:
            return None
        if layer not in self._projections:
            module = self._family.layer(layer).to_out[0]
            self._projections[layer] = projection_of(module, seen.outputs.shape[-1], seen.outputs)
        return head_weights(seen.outputs, self._projections[layer], seen.query.shape[1])

    def _grid(self, layer: str, length: int) -> MapGrid:
        """What the maps of a layer with so many tokens are."""
        assert self._pass is not None
        if length not in self._pass.grids:
            raise ModelError(f"{layer} has {length} pixels, which do not fit the latent; it cannot be traced")
        return self._pass.grids[length]
