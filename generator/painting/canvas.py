"""Canvases: images of several objects, each painted in a region of its own, that share one field of noise.

After MultiDiffusion (Bar-Tal et al. 2023) and MosaicFusion (Xie et al. 2024): regions are denoised side by side, each
by its own prompt at the size that the model was made for, and after each step their latents are blended where they
overlap. That equals blending the predictions for samplers that are linear in them. What no region covers is painted in
tiles by the background's prompt.

A region whose object is not found is painted again with other noise, beside what the others were at each step.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffucurate.generator.attention.families import family_of
from diffucurate.generator.attention.families.pixart import PixArt
from diffucurate.generator.attention.families.stable_diffusion_3 import StableDiffusion3
from diffucurate.generator.attention.families.unet import UNet
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.errors import ModelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.jobs.retries import retry_seed
from diffucurate.generator.labels.from_canvas import is_whole, region_objects
from diffucurate.generator.labels.maps.canvas_maps import Box, RegionMap, owners, region_weights, tile_weights, tiles
from diffucurate.generator.painting.pipeline_call import Called, call_pipeline
from diffucurate.generator.recipe.canvas import Canvas

logger = logging.getLogger(__name__)

#: The models whose latents are images, so that a part can be cut out of them.
_WITH_PLACES = (UNet, PixArt, StableDiffusion3)

Heatmaps = dict[str, NDArray[np.float32]]


def check_canvases(pipe: Any) -> None:
    """Raise a ModelError unless a pipeline can paint canvases."""
    if not isinstance(family_of(pipe), _WITH_PLACES):
        raise ModelError(
            f"canvases cannot be painted with {type(pipe).__name__}, whose latents are no images; use a Stable "
            "Diffusion, Stable Diffusion XL or 3, or PixArt model"
        )


def paint_canvases(pipe: Any, jobs: Sequence[Job], settings: TraceSettings | None = None) -> Called:
    """Paint canvases, one after the other; the regions and tiles of one are a batch.

    The maps of a canvas are those of the whole, class by class, and those of each region (``RegionMap.name``).
    """
    painted = [_paint_canvas(pipe, job, settings) for job in jobs]
    images, heatmaps, flags = zip(*painted, strict=True)
    return Called(np.stack(images), list(heatmaps), list(flags))


class _Row(NamedTuple):
    """What is denoised side by side: a region or a tile, its place in pixels, and how much it counts."""

    job: Job
    box: Box
    weights: NDArray[np.float32]


def _paint_canvas(pipe: Any, job: Job, settings: TraceSettings | None) -> tuple[NDArray[np.uint8], Heatmaps, bool]:
    assert job.canvas is not None, "jobs of one batch have one task"
    canvas = job.canvas
    rows = _rows(job, canvas, pipe.vae_scale_factor)
    coupling = _Coupling(pipe, job, canvas, rows)
    painted = coupling.paint(range(len(rows)), settings)
    images, heatmaps, flags = list(painted.images), list(painted.heatmaps), list(painted.blacked_out)
    bad: list[int] = []
    for attempt in range(canvas.tries):
        whole = _stitched(job.size, rows, images)
        bad = [
            index
            for index, region in enumerate(canvas.regions)
            if flags[index] or not is_whole(region_objects(heatmaps[index], region.box, whole), canvas.min_confidence)
        ]
        if not bad or attempt + 1 == canvas.tries:
            break
        again = coupling.paint(bad, settings, seed=retry_seed(job.job_id, attempt + 1))
        for index, image, maps, flag in zip(bad, *again, strict=True):
            images[index], heatmaps[index], flags[index] = image, maps, flag
    if bad:
        logger.info("job %s: %d of %d regions without a label", job.job_id, len(bad), len(canvas.regions))
    maps = _maps(job.size, canvas, heatmaps, bad)
    return _stitched(job.size, rows, images), maps, any(flags)


def _rows(job: Job, canvas: Canvas, cell: int) -> list[_Row]:
    """The regions in their order, then the tiles of the background."""
    rows, plain = [], replace(job, canvas=None)
    for order, region in enumerate(canvas.regions):
        own = replace(plain, prompt=region.prompt, phrases=dict(region.phrases), size=region.box[2:])
        rows.append(_Row(own, region.box, region_weights(region.box[3], region.box[2], order)))
    width, height = canvas.regions[0].box[2:]
    around = replace(plain, prompt=canvas.background, phrases={}, size=(width, height))
    rows += [_Row(around, box, tile_weights(height, width)) for box in tiles(job.size, (width, height), cell)]
    return [row._replace(job=replace(row.job, seed=job.seed + index)) for index, row in enumerate(rows)]


class _Coupling:
    """Rows whose latents are blended after each step, as a pipeline's ``callback_on_step_end``.

    What each row was at each step, before it was blended, is kept, so that some rows can be painted again.
    """

    def __init__(self, pipe: Any, job: Job, canvas: Canvas, rows: Sequence[_Row]) -> None:
        self._pipe, self._rows, self._cell = pipe, rows, pipe.vae_scale_factor
        self._size = job.size[1] // self._cell, job.size[0] // self._cell
        self._model = pipe.unet if getattr(pipe, "unet", None) is not None else pipe.transformer
        self._shape = (1, self._model.config.in_channels, *self._size)
        self._noise = torch.randn(self._shape, generator=torch.Generator("cpu").manual_seed(job.seed))
        boxes = {order: region.box for order, region in enumerate(canvas.regions)}
        self._owner = torch.from_numpy(owners(_in_cells(boxes, self._cell), self._size))
        self._weights = [torch.from_numpy(_at_cells(row.weights, self._cell)) for row in rows]
        self._total = torch.zeros(self._size)
        for row, weights in zip(rows, self._weights, strict=True):
            self._part(self._total, row.box).add_(weights)
        self._steps: list[list[Tensor]] = []  # step -> the latents of each row
        self._current: Sequence[int] = ()

    def paint(self, indices: Sequence[int], settings: TraceSettings | None, seed: int | None = None) -> Called:
        """Paint the rows of these indices beside the others; with ``seed`` from other noise where they count most."""
        self._current = list(indices)
        noise = self._noise
        if seed is not None:
            other = torch.randn(self._shape, generator=torch.Generator("cpu").manual_seed(seed))
            own = torch.isin(self._owner, torch.tensor(self._current, dtype=self._owner.dtype))
            noise = torch.where(own, other, noise)
        jobs = [self._rows[index].job for index in self._current]
        width, height = jobs[0].size
        latents = torch.cat([self._part(noise, self._rows[index].box) for index in self._current])
        arguments = {
            "width": width,
            "height": height,
            "latents": latents.to(self._pipe._execution_device, self._model.dtype),
            "callback_on_step_end": self,
        }
        return call_pipeline(self._pipe, jobs, arguments, settings)

    def __call__(self, pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Tensor]:
        """The latents of the rows that are painted, blended with those of all."""
        latents = values["latents"]
        mine = latents.detach().to("cpu", torch.float32)
        if len(self._steps) <= step:
            self._steps.append([mine[:1]] * len(self._rows))
        for row, index in zip(mine.split(1), self._current, strict=True):
            self._steps[step][index] = row
        whole = torch.zeros(self._shape)
        for row, weights, each in zip(self._rows, self._weights, self._steps[step], strict=True):
            self._part(whole, row.box).add_(each * weights)
        whole /= self._total
        return {"latents": torch.cat([self._part(whole, self._rows[i].box) for i in self._current]).to(latents)}

    def _part(self, canvas: Tensor, box: Box) -> Tensor:
        x, y, width, height = (side // self._cell for side in box)
        return canvas[..., y : y + height, x : x + width]


def _in_cells(boxes: Mapping[int, Box], cell: int) -> dict[int, Box]:
    return {order: (x // cell, y // cell, w // cell, h // cell) for order, (x, y, w, h) in boxes.items()}


def _at_cells(weights: NDArray[np.float32], cell: int) -> NDArray[np.float32]:
    """The mean of weights of pixels in each cell."""
    height, width = weights.shape
    return weights.reshape(height // cell, cell, width // cell, cell).mean(axis=(1, 3)).astype(np.float32)


def _stitched(size: tuple[int, int], rows: Sequence[_Row], images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The rows' images as one of (width, height) ``size``; they were decoded apart, so memory is that of a region."""
    whole, total = np.zeros((size[1], size[0], 3), np.float32), np.zeros((size[1], size[0], 1), np.float32)
    for row, image in zip(rows, images, strict=True):
        x, y, width, height = row.box
        place = slice(y, y + height), slice(x, x + width)
        whole[place] += image * row.weights[..., None]
        total[place] += row.weights[..., None]
    stitched: NDArray[np.uint8] = (whole / total).round().astype(np.uint8)
    return stitched


def _maps(size: tuple[int, int], canvas: Canvas, heatmaps: Sequence[Heatmaps], bad: Sequence[int]) -> Heatmaps:
    """The maps of each region under names of their own, and those of the whole canvas, of regions with an object."""
    regions = canvas.regions
    found: Heatmaps = {}
    mapped = list(zip(regions, heatmaps, strict=False))  # tiles, which come last, have no maps
    sides = [region.box[3] // heat.shape[0] for region, maps in mapped for heat in maps.values()]
    cell = min(sides, default=8)
    shape = -(-size[1] // cell), -(-size[0] // cell)
    owner = owners(_in_cells({order: region.box for order, region in enumerate(regions)}, cell), shape)
    whole: Heatmaps = {}
    for order, (region, maps) in enumerate(mapped):
        for label, heat in maps.items():
            found[RegionMap(order, region.box, label, order in bad).name] = heat
            if order in bad:
                continue
            x, y, width, height = (side // cell for side in region.box)
            place = slice(y, y + height), slice(x, x + width)
            own = whole.setdefault(label, np.zeros(shape, np.float32))
            seen = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR) * (owner[place] == order)
            own[place] = np.maximum(own[place], seen)
    return {**whole, **found}
