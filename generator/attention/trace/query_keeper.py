"""Keeps the queries of a run while a pipeline paints, and estimates the memory that they take. Knows no labels."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.self_attention import SelfAttention, expected_bytes
from diffucurate.generator.attention.families import Family, Pass
from diffucurate.generator.attention.settings import QuerySettings, TraceSettings
from diffucurate.generator.attention.trace.attribution import attributable
from diffucurate.generator.attention.trace.queries import (
    StoredLayer,
    StoredQueries,
    model_name,
    probe_keys,
)
from diffucurate.generator.errors import ModelError


class QueryKeeper:
    """Keeps the queries of one run."""

    def __init__(self, family: Family, settings: QuerySettings) -> None:
        self._family, self.settings = family, settings
        self._levels: list[float] = []
        self._stored = StoredQueries(model_name(family.pipe))

    def begin(self, current: Pass) -> bool:
        """Whether the pass that begins is one to keep."""
        self._levels.append(current.level)
        kept = self.settings.chosen(self._levels)
        if not kept or kept[-1] != len(self._levels) - 1:
            return False
        self._stored.levels.append(current.level)
        return True

    def add(self, name: str, grid: MapGrid, query: Tensor, scale: float) -> None:
        """Keep one layer's queries of one pass, (images, heads, pixels, width)."""
        layers = self._stored.layers
        if name not in layers:
            layers[name] = StoredLayer(grid, scale, probe_keys(self._family, name))
        layers[name].passes.append(query.to("cpu", torch.float16).contiguous())

    def stored(self, refinement: SelfAttention | None) -> StoredQueries:
        """What was kept, with the run's self-attention.

        Raises:
            ModelError: nothing was.
        """
        if not self._stored.layers:
            raise ModelError(
                f"no queries were kept: the pipeline was not called inside the trace's `with` block, or no pass and "
                f"layer was what the settings ask for ({self.settings})"
            )
        self._stored.refinement = refinement if refinement is not None and not refinement.empty else None
        return self._stored


def expected_megabytes(
    pipe: Any,
    size: tuple[int, int],
    steps: int,
    images: int = 1,
    keep: QuerySettings | None = None,
    settings: TraceSettings | None = None,
) -> float:
    """The memory that a run's queries will take, with its self-attention, in millions of bytes, before it is painted.

    Args:
        pipe: the pipeline, with its weights or without.
        size: (width, height) of the images in pixels.
        steps: ``num_inference_steps``.
        images: how many images.
        keep: what will be kept.
        settings: of the trace, which say the blocks that are read.

    Raises:
        ModelError: a model whose pixels cannot be attributed by any text.
    """
    family, keep = attributable(pipe), keep or QuerySettings()
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(steps)  # one pass each, also where a step takes two
    passes = len(keep.chosen([float(step) / family.schedule for step in scheduler.timesteps]))
    latent = size[1] // pipe.vae_scale_factor, size[0] // pipe.vae_scale_factor
    numbers, settings = 0, family.filled(settings or TraceSettings())
    for name in family.layers(settings):
        grid = family.grid(name, latent)
        numbers += prod(grid.size) * family.layer(name).inner_dim if keep.reads(grid.factor) else 0
    grids = [family.grid(name, latent) for name in family.self_layers(settings)] if settings.tau else []
    return images * (2 * numbers * passes + expected_bytes(grids, settings.refine_at)) / 1e6
