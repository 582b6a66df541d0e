"""Jobs become paintings: images with the class maps of the attention that made them.

Batches jobs that can share one, and paints smaller batches when memory runs out. Knows neither labels nor
datasets, and shows nothing itself: progress goes to a callback, and the init images of jobs come from one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.attention.control.places import check_layouts
from diffucurate.generator.attention.control.self_guidance import check_guidance
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.detection.adapter import DetectionAdapter
from diffucurate.generator.detection.watch import watching
from diffucurate.generator.errors import BlackedOutError, ImageError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.labels.maps.canvas_maps import region_maps
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.labels.settings import AdapterLabelSettings
from diffucurate.generator.models.adapters import adapted
from diffucurate.generator.models.card import empty_caches, out_of_memory
from diffucurate.generator.models.fit import Fit, failed_in_decoder
from diffucurate.generator.models.load import check_size, load_pipeline
from diffucurate.generator.models.placement import device_of
from diffucurate.generator.painting.canvas import check_canvases, paint_canvases
from diffucurate.generator.painting.conditions import Conditions
from diffucurate.generator.painting.img2img import for_task, init_image_arguments
from diffucurate.generator.painting.init_images import InitPixels
from diffucurate.generator.painting.pipeline_call import call_pipeline, strength_of
from diffucurate.generator.painting.second_look import check_second_look, second_look
from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.recipe.model_options import ModelOptions

__all__ = ["Conditions", "Painting", "paint", "together"]

logger = logging.getLogger(__name__)

#: Which objects of an adapter become labels.
_FOUND = AdapterLabelSettings().model_dump()

_Read = TypeVar("_Read")


@dataclass(eq=False)
class Painting:
    """One painted job.

    ``image`` is (H, W, 3) uint8 RGB. ``heatmaps`` are the raw class maps, (h, w) float32 >= 0 at the trace's own
    size, for the classes the prompt mentions, and those of the regions of a canvas. ``seconds`` is the image's share of
    the time its batch took; under the same ``conditions`` the image comes out the same to the bit. ``region`` is (H, W)
    bool, the part of the init image that was repainted; None for the whole image. One that the model's safety checker
    has ``blacked_out`` is no image of the job; ``paint`` returns none.
    """

    job: Job
    image: NDArray[np.uint8]
    heatmaps: dict[str, NDArray[np.float32]]
    seconds: float
    conditions: Conditions
    region: NDArray[np.bool_] | None = None
    blacked_out: bool = False
    found: list[Instance] | None = None

    @property
    def lost_regions(self) -> int:
        """How many regions of a canvas have no object that was found."""
        return len({region.order for region in region_maps(self.heatmaps).values() if region.lost})


def paint(
    jobs: Iterable[Job],
    *,
    pipe: Any = None,
    adapted_to: ModelOptions | None = None,
    init_images: Callable[[Job], InitPixels] | None = None,
    layouts: Callable[[Job], Layout] | None = None,
    on_failure: Callable[[Job, ImageError], None] | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    settings: TraceSettings | None = None,
    look_again: bool = False,
    adapter: DetectionAdapter | None = None,
    on_batch: Listener | None = None,
) -> Generator[Painting, None, None]:
    """Paint jobs, those that have ``together`` in common in one batch, else in the order given.

    Args:
        jobs: what to paint.
        pipe: paints all of them, whatever model they name; by default each job's model is loaded.
        adapted_to: the options that ``pipe`` has already, by ``adapted``; jobs with these options leave it as it is.
        init_images: returns the init image, of any size, of a job that has one; called when the job is painted.
        layouts: returns the mask of a job that is painted by one, at the job's size; called when the job is painted.
        on_failure: called for a job whose init image or mask cannot be read, or whose image the model's safety checker
            blacked out; it is then left out. By default that ends all.
        batch_size: images at once; by default what fits the device. When memory runs out, see ``models.fit``.
        device: for models that are loaded here; see ``load_pipeline``.
        settings: of the trace; by default what suits the model (``attention.families.presets``), but that for jobs with
            class prompts the built-in model's heads count by sharpness.
        look_again: whether class maps are of a second look at the finished image (``second_look``), not of painting it.
        adapter: finds objects in the features of the run that paints them (``Painting.found``).
        on_batch: called after each batch, before its paintings are yielded, and when the batch size changes.

    Each image is drawn from its own generator, seeded with its job's seed on the CPU, so it does not depend on
    the device or on what shares its batch, rounding aside (``Conditions``). Between batches and after an interruption
    the pipeline is as it was, but for the jobs' ``model_options``, which stays until the last job that has it.

    Raises:
        ModelError: a model that cannot be loaded or traced, or one image is too much for the memory.
        RecipeError: a size the model cannot make, or options that do not suit it.
        ImageError: see ``on_failure``.
    """
    jobs = list(jobs)
    meter = Meter(on_batch, len(jobs))
    for group in groups(jobs):
        painter = pipe if pipe is not None else load_pipeline(group[0].model, device)
        if group[0].canvas is not None:
            check_canvases(painter)
        size = tile_size(group[0])
        check_size(painter, size)
        if look_again:
            check_second_look(painter)
        if strength_of(group[0]) is not None:
            check_layouts(painter)
        if group[0].guide is not None or (group[0].layout is not None and group[0].layout.guide):
            check_guidance(painter)
        fit = Fit(painter, size, batch_size)
        options = group[0].model_options
        with nullcontext() if options == adapted_to else adapted(painter, options), closing(fit):
            worker = for_task(painter, group[0].task, None if group[0].source is None else group[0].source.strength)
            waiting = group
            while waiting:
                turn = waiting[: fit.batch]
                batch = _with_images(turn, init_images, layouts, on_failure)
                with fit.measured(len(batch)):
                    paintings = _paint_batch(worker, batch, settings, adapter) if batch else []
                if isinstance(paintings, _TooLarge):
                    note = fit.relieve(len(batch), decoding=paintings.decoding)
                    logger.warning(note)
                    # Jobs that failed have been reported and are not tried again.
                    waiting = [*(each.job for each in batch), *waiting[len(turn) :]]
                    meter.advance(len(turn) - len(batch), note)
                    continue
                waiting = waiting[len(turn) :]
                meter.advance(len(turn))
                shown = []
                for painting in paintings:
                    if not painting.blacked_out:
                        shown.append(painting)
                    elif on_failure is None:
                        raise _blacked_out(painting.job)
                    else:
                        on_failure(painting.job, _blacked_out(painting.job))
                yield from _seen_again(painter, shown) if look_again and shown else shown


def tile_size(job: Job) -> tuple[int, int]:
    """The (width, height) at which a model paints: of a canvas its regions'."""
    return job.size if job.canvas is None else job.canvas.regions[0].box[2:]


def together(job: Job) -> Hashable:
    """What jobs must have in common to be painted at once."""
    strength = None if job.source is None else job.source.strength
    apart = job.class_prompt is not None
    against = bool(job.negative_prompt)  # without one, Stable Diffusion XL is guided in another way
    sizes = job.size, tile_size(job)
    steered = strength_of(job), job.guide is None, job.layout is not None and job.layout.guide > 0
    return job.model, job.task, job.model_options, *sizes, job.steps, job.guidance, strength, apart, against, steered


class _PaintableJob(NamedTuple):
    """A job with what was read for it."""

    job: Job
    init_image: InitPixels | None = None
    layout: Layout | None = None


class _TooLarge(NamedTuple):
    """A batch did not fit the memory: ``decoding`` says whether it ran out in the decoder."""

    decoding: bool


def _with_images(
    jobs: Sequence[Job],
    init_images: Callable[[Job], InitPixels] | None,
    layouts: Callable[[Job], Layout] | None,
    on_failure: Callable[[Job, ImageError], None] | None,
) -> list[_PaintableJob]:
    """The jobs that can be painted, with their init images and masks at the jobs' own size."""
    paintable: list[_PaintableJob] = []
    for job in jobs:
        try:
            image = None if job.source is None else _read(job, init_images, "an init image", "init_images")
            layout = None if job.layout is None else _read(job, layouts, "a mask", "layouts")
            fitted = None if image is None else image.fitted(job.size)
            if fitted is not None and fitted.outline is not None:
                layout = Layout(fitted.outline.astype(np.uint8), tuple(job.phrases)[:1])
            paintable.append(_PaintableJob(job, fitted, layout))
        except ImageError as error:
            if on_failure is None:
                raise
            on_failure(job, error)
    return paintable


def _read(job: Job, reader: Callable[[Job], _Read] | None, what: str, name: str) -> _Read:
    if reader is None:
        raise ImageError(f"job {job.job_id} starts from {what}; pass a function that returns it as `{name}`")
    return reader(job)


def groups(jobs: Iterable[Job]) -> list[list[Job]]:
    """The jobs that can share a batch, in the order in which they are painted."""
    alike: dict[Hashable, list[Job]] = {}
    for job in jobs:
        alike.setdefault(together(job), []).append(job)
    return list(alike.values())


def images_at_once(pipe: Any, job: Job, batch_size: int | None = None) -> int:
    """How many images like that of a job would be painted at once, as far as is known now."""
    return Fit(pipe, tile_size(job), batch_size).batch


def _paint_batch(
    pipe: Any, paintable: Sequence[_PaintableJob], settings: TraceSettings | None, adapter: DetectionAdapter | None
) -> list[Painting] | _TooLarge:
    """The batch's paintings, or where the memory was too small for it."""
    started, watch = time.monotonic(), None
    batch = [each.job for each in paintable]
    try:
        if batch[0].canvas is not None:
            painted = paint_canvases(pipe, batch, settings)
        else:
            init_images = [each.init_image for each in paintable if each.init_image is not None]
            layouts = [each.layout for each in paintable if each.layout is not None]
            arguments = init_image_arguments(pipe, batch, init_images)
            with nullcontext() if adapter is None else watching(adapter.reader, len(batch), batch[0].size) as watch:
                painted = call_pipeline(pipe, batch, arguments, settings, layouts)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        too_large = _TooLarge(failed_in_decoder(pipe, error))
    else:
        seconds = (time.monotonic() - started) / len(batch)
        conditions = Conditions(str(device_of(pipe)), len(batch), torch.get_num_threads())
        paintings = [
            Painting(job, image, maps, seconds, conditions, blacked_out=flag)
            if init_image is None
            else Painting(job, init_image.kept_in(image), maps, seconds, conditions, init_image.mask, flag)
            for (job, init_image, _), image, maps, flag in zip(paintable, *painted, strict=True)
        ]
        if adapter is not None and watch is not None:
            shown = [painting.image for painting in paintings]
            for painting, found in zip(paintings, adapter.find(shown, **_FOUND, features=watch.features), strict=True):
                painting.found = found
        return paintings
    # Only here, the error with its frames and their tensors forgotten, can their memory be freed.
    empty_caches()
    return too_large


def _seen_again(pipe: Any, paintings: Sequence[Painting]) -> list[Painting]:
    """Paintings with the maps of a second look; a class of which it finds nothing keeps the map of painting."""
    jobs = [painting.job for painting in paintings]
    looks = second_look(pipe, [each.image for each in paintings], [j.prompt for j in jobs], [j.phrases for j in jobs])
    return [
        replace(
            painting,
            heatmaps={
                label: seen[label] if label in seen and seen[label].any() else heat
                for label, heat in painting.heatmaps.items()
            },
        )
        for painting, seen in zip(paintings, looks, strict=True)
    ]


def _blacked_out(job: Job) -> BlackedOutError:
    return BlackedOutError(
        f"job {job.job_id} (seed {job.seed}): the model's safety checker blacked the image out; use another seed, or "
        "retries: 2"
    )
