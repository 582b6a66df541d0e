"""Open vocabulary after painting: the pixels' queries are kept, and combined with the keys of any text later.

A pixel's query does not depend on the text (Open-Vocabulary DAAM, Marcos-Manchon et al. 2024). So the queries of a
run, in half precision, serve any text afterwards, whether its words are in the prompt or not. They take much memory,
which ``query_keeper.expected_megabytes`` estimates beforehand and ``QuerySettings`` bounds. Knows no labels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffucurate.generator.attention.capture.maps import AttentionAccumulator, MapGrid
from diffucurate.generator.attention.capture.processor import text_keys
from diffucurate.generator.attention.capture.self_attention import SelfAttention
from diffucurate.generator.attention.families import Family
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.attribution import Attribution, Keys, attributable
from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.files.atomic import replacing_file

#: Version of the file's format.
_FORMAT = "diffucurate-queries-1"

#: Largest difference of the keys of a fixed state, as a share of their norm: half precision changes them by less than a
#: hundredth, another training by more.
_SAME_MODEL = 0.02


@dataclass
class StoredLayer:
    """The queries of one layer.

    Attributes:
        grid: what its maps are.
        scale: the factor of the product of query and key.
        probe: (heads * width,) float32, the keys it makes of a fixed state, which identify it.
        passes: one (images, heads, pixels, width) float16 tensor on the CPU per pass.
    """

    grid: MapGrid
    scale: float
    probe: Tensor
    passes: list[Tensor] = field(default_factory=list)


@dataclass
class StoredQueries:
    """The queries of one run, from ``AttentionTrace.queries`` or a file.

    Attributes:
        model: what the pipeline was loaded from, for error messages.
        levels: the noise level of each pass, as a share of the schedule.
        layers: name of a processor -> its queries.
        refinement: the run's self-attention, where the trace's settings refined by it.
    """

    model: str
    levels: list[float] = field(default_factory=list)
    layers: dict[str, StoredLayer] = field(default_factory=dict)
    refinement: SelfAttention | None = None

    @property
    def images(self) -> int:
        """The number of images."""
        return next((int(layer.passes[0].shape[0]) for layer in self.layers.values()), 0)

    @property
    def megabytes(self) -> float:
        """Their size, in millions of bytes."""
        queries = sum(query.nbytes for layer in self.layers.values() for query in layer.passes)
        return (queries + (self.refinement.nbytes if self.refinement else 0)) / 1e6

    def maps(
        self, pipe: Any, attribution: Attribution, settings: TraceSettings | None = None
    ) -> list[dict[str, NDArray[np.float32]]]:
        """One mapping class -> raw map per image, as from ``AttentionTrace.maps`` of the passes that were kept.

        Args:
            pipe: the pipeline that painted the images.
            attribution: any text, or learned tokens.
            settings: which of what was kept is read, and how it is combined. The self-attention that refines is that
                of the trace's own settings; where these did not refine, maps are not refined by default.

        Raises:
            ModelError: another model, or nothing was kept of what the settings ask for.
            InvalidSetting: settings that refine by a self-attention that was not kept.
        """
        asked = settings or TraceSettings()
        filled = attributable(pipe).filled(asked)
        if asked.aggregated:
            raise InvalidSetting(
                "trace.layers",
                asked.layers,
                "queries alone do not say how much heads and layers count; use None, and "
                "neither rescale nor heads='contribution'",
            )
        if self.refinement is None and asked.tau:
            raise InvalidSetting("trace.tau", asked.tau, "use 0: the trace that kept the queries did not refine")
        if self.refinement is not None and asked.refine_at not in (None, self.refinement.factor):
            raise InvalidSetting("trace.refine_at", asked.refine_at, f"use {self.refinement.factor}, which was kept")
        with torch.no_grad():
            sums, passes = self.sums(pipe, attribution, settings)
            maps = sums.combine(passes)
            if self.refinement is None or not filled.tau:
                return maps
            return self.refinement.refine(maps, filled.tau, filled.inflation)

    def sums(
        self, pipe: Any, attribution: Attribution, settings: TraceSettings | None = None
    ) -> tuple[AttentionAccumulator, int]:
        """The attention before any refinement, added up on the model's device, and of how many passes. Gradients reach
        the attribution's states. Arguments and errors as for ``maps``."""
        family = attributable(pipe)
        settings = family.filled(settings or TraceSettings())
        self._check(family)
        low, high = settings.noise
        passes = [index for index, level in enumerate(self.levels) if low <= level <= high]
        wanted = [name for name in family.layers(settings) if name in self.layers]
        wanted = [name for name in wanted if settings.reads(self.layers[name].grid.factor)]
        if not passes or not wanted:
            raise ModelError(
                f"of the queries that were kept (passes: {len(self.levels)}, layers: {len(self.layers)}) none is what "
                f"the settings ask for ({settings}); widen them"
            )
        sums, keys = attribution.sums(self.images, settings), Keys(attribution, family, self.images)
        for name in wanted if sums.wanted else []:
            layer, device = self.layers[name], keys.of(name).device
            for index in passes:
                keys.add(sums, name, layer.grid, layer.passes[index].to(device), layer.scale)
        return sums, len(passes)

    def save(self, path: Path) -> None:
        """Write a ``.safetensors`` file, whole or not at all."""
        layers = {
            name: {"factor": layer.grid.factor, "size": layer.grid.size, "scale": layer.scale}
            for name, layer in self.layers.items()
        }
        described: dict[str, Any] = {"format": _FORMAT, "model": self.model, "levels": self.levels, "layers": layers}
        tensors = {f"{name}/probe": layer.probe for name, layer in self.layers.items()}
        for name, layer in self.layers.items():
            tensors |= {f"{name}/{index}": query for index, query in enumerate(layer.passes)}
        if self.refinement is not None:
            described["refinement"], tensors["refinement"] = self.refinement.described()
        with replacing_file(path) as part:
            save_file(tensors, part, {"queries": json.dumps(described)})

    @classmethod
    def load(cls, path: Path) -> StoredQueries:
        """Read what ``save`` wrote.

        Raises:
            ModelError: a file of another kind.
        """
        try:
            with safe_open(path, "pt") as file:
                described = json.loads((file.metadata() or {}).get("queries", "{}"))
                if described.get("format") != _FORMAT:
                    raise ModelError(f"'{path}' holds no attention queries; give a file that StoredQueries.save wrote")
                stored = cls(described["model"], described["levels"])
                for name, about in described["layers"].items():
                    grid = MapGrid(about["factor"], (about["size"][0], about["size"][1]))
                    passes = [file.get_tensor(f"{name}/{index}") for index in range(len(stored.levels))]
                    stored.layers[name] = StoredLayer(grid, about["scale"], file.get_tensor(f"{name}/probe"), passes)
                if "refinement" in described:
                    stored.refinement = SelfAttention.restored(described["refinement"], file.get_tensor("refinement"))
                return stored
        except (OSError, SafetensorError) as error:
            raise ModelError(f"'{path}' could not be read as a .safetensors file: {error}") from error

    def _check(self, family: Family) -> None:
        """See that the keys come from the layers that the queries came from."""
        known = family.model.attn_processors
        if any(name not in known or not _same(layer.probe, family, name) for name, layer in self.layers.items()):
            raise ModelError(
                f"these queries were kept of '{self.model}', and {type(family.pipe).__name__} "
                f"('{model_name(family.pipe)}') makes other keys; load that model, with the adapters it painted with"
            )


def model_name(pipe: Any) -> str:
    """What a pipeline was loaded from, else its class."""
    return getattr(pipe, "name_or_path", None) or type(pipe).__name__


def probe_keys(family: Family, name: str) -> Tensor:
    """(heads * width,) float32: the keys that a layer makes of a fixed state, whatever adapters it has."""
    attn = family.layer(name)
    state = torch.linspace(-3, 3, family.channels).sin()[None, None]
    with torch.no_grad():
        keys = text_keys(attn, family.text_states(state.to(family.device_of(attn), family.model.dtype)))
    return keys.flatten().float().cpu()


def _same(probe: Tensor, family: Family, name: str) -> bool:
    now = probe_keys(family, name)
    return now.shape == probe.shape and bool((now - probe).norm() <= _SAME_MODEL * probe.norm())
