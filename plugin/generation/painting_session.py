"""What every verb that paints has in common: load the model, check it, adapt it, declare fields, record the run, paint.

Whatever is wrong with the model, its adapters or a size is raised when a session begins, before anything is written to
the database. LoRAs, learned words and the sampler are put on the model once, for the checks and for all images. The
verb chooses the jobs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.models.adapter_checks import check_weights
from diffucurate.generator.models.painting_checks import check_painting
from diffucurate.generator.progress import Listener, announce
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.generation.confirm_carried import confirm_carried
from diffucurate.plugin.generation.init_sources import CARRIED, LAYOUT
from diffucurate.plugin.generation.paint_and_store import job_ids, note_failure, paint_into
from diffucurate.plugin.generation.prepare import SOURCE, prepare
from diffucurate.plugin.store import field_names, runs, shared_runs
from diffucurate.plugin.store.job_leases import JobLeases

if TYPE_CHECKING:
    from diffucurate.generator.detection.adapter import DetectionAdapter
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.recipe.recipe import Recipe
    from diffucurate.generator.recipe.sizes import Size
    from diffucurate.plugin.cluster.engine import RayEngine
    from diffucurate.plugin.cluster.paint_pool import PaintPool
    from diffucurate.plugin.generation.init_reader import InitImageReader
    from diffucurate.plugin.generation.layout_reader import LayoutReader


logger = logging.getLogger(__name__)


@contextmanager
def painting_session(
    recipe: Recipe,
    device: str | None = None,
    engine: RayEngine | None = None,
    batch_size: int | None = None,
    progress: Listener | None = None,
) -> Iterator[PaintingSession]:
    """A block in which a recipe's model is loaded and set up as the recipe asks; after it, the model is as it was.

    With an ``engine`` the model is loaded by its actors, which paint ``batch_size`` images at once.

    Raises:
        ModelError: the model cannot be loaded, or cannot do the recipe's task; or no cluster answers.
        RecipeError: the model cannot make a size, or what the recipe changes about it does not suit it.
    """
    from diffucurate.generator.detection.adapter import load_adapter
    from diffucurate.generator.painting.pipeline import painting_pipeline
    from diffucurate.plugin.cluster.paint_pool import paint_pool
    from diffucurate.plugin.generation.init_reader import InitImageReader
    from diffucurate.plugin.generation.layout_reader import LayoutReader

    check_painting(recipe, device)
    if engine is not None and recipe.adapter is not None:
        raise RecipeError("adapter", recipe.adapter, "actors paint without it; leave it out, and label afterwards")
    if engine is not None:
        with paint_pool(recipe, engine, device, batch_size, progress) as workers:
            yield PaintingSession(recipe, None, InitImageReader(), LayoutReader(), workers)
    else:
        with painting_pipeline(recipe, device) as pipe:
            adapter = None if recipe.adapter is None else load_adapter(Path(recipe.adapter).expanduser(), pipe=pipe)
            yield PaintingSession(recipe, pipe, InitImageReader(), LayoutReader(), adapter=adapter)


@dataclass(frozen=True)
class PaintingSession:
    """A model that can paint a recipe's jobs; made by ``painting_session``.

    Attributes:
        recipe: what the model is set up for.
        pipe: the diffusers pipeline; None where actors have it.
        reader: reads the init images; what it has read to plan the jobs need not be read again to paint them.
        layouts: reads the masks that images are painted by.
        workers: the actors that paint; None for this process.
        adapter: finds objects in the features of the run that paints them.
    """

    recipe: Recipe
    pipe: Any
    reader: InitImageReader
    layouts: LayoutReader
    workers: PaintPool | None = None
    adapter: DetectionAdapter | None = None

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns of the pipeline and these arguments, wherever that is."""
        return function(self.pipe, *arguments) if self.workers is None else self.workers.ask(function, *arguments)

    def size_of(self, size: Size) -> Size:
        """The (width, height) at which the model paints from an init image of ``size``."""
        from diffucurate.generator.models.load import nearest_size

        width, height = self.ask(nearest_size, size)
        return width, height

    def paint(
        self,
        dataset: fo.Dataset,
        jobs: Sequence[Job],
        *,
        verb: str,
        settings: Mapping[str, Any],
        facts: Mapping[str, Any],
        batch_size: int | None = None,
        source_ids: Mapping[str, str] | None = None,
        failed: Mapping[str, str] | None = None,
        kept_classes: Sequence[str] = (),
        share: bool = False,
        progress: Listener | None = None,
    ) -> None:
        """Paint jobs of the recipe, none of which the dataset holds, and add them with their labels.

        Args:
            dataset: where they go; fields that it lacks are declared.
            jobs: what to paint.
            verb: under which the run is recorded.
            settings: of the run. One with the same settings that was stopped or killed is continued under its own key.
            facts: what the run is to say besides, such as how many images were ``asked`` for.
            batch_size: images painted at once; by default what the device usually holds.
            source_ids: job id -> the sample that it varies or starts from.
            failed: sample id -> why it cannot be used as an init image; logged, and kept among the run's facts.
            kept_classes: as for ``prepare``.
            share: whether other processes paint the same jobs, each a part of them.
            progress: called after each batch.

        Raises:
            RecipeError: the weights of a prompt cannot be read.
            ModelError: the model cannot be traced, or one image is too much for the memory.
            DatasetError: as ``prepare``; or another process paints the same at this moment, or added one of the jobs
                meanwhile.
        """
        from diffucurate.generator.models.placement import described
        from diffucurate.generator.text.weighted_prompts import unread_weight
        from diffucurate.plugin.generation.init_labels import InitLabels

        recipe = self.recipe
        if room := self.ask(described):
            announce(progress, room, len(jobs))
        texts = (text for job in jobs for text in (job.prompt, job.negative_prompt))
        if recipe.prompt_weights:
            check_weights(texts)
        elif note := unread_weight(texts):
            announce(progress, note, len(jobs))
        reader = None if recipe.source is None else self.reader
        with shared_runs.alone(dataset, runs.work_of(verb, settings)) if share else nullcontext():
            classes = prepare(dataset, recipe, jobs, kept_classes)
        with _begun(dataset, verb, settings, share) as (run, leases):
            if leases is None:  # another process may have painted them since they were planned, and have ended
                painted = job_ids(dataset)
                jobs = [job for job in jobs if job.job_id not in painted]
            run.facts |= facts
            for sample_id, reason in (failed or {}).items():
                note_failure(run, sample_id, reason)
                announce(progress, f"left out {reason}", len(jobs))
            paint_into(
                dataset,
                jobs,
                run,
                pipe=self.pipe,
                model_options=recipe.model_options,
                classes=classes,
                batch_size=batch_size,
                source_ids=source_ids,
                init_images=reader,
                layouts=self.layouts,
                look_again=recipe.look_again,
                adapter=self.adapter,
                retries=recipe.retries,
                labels=None if reader is None else InitLabels(recipe, reader, self.layouts),
                leases=leases,
                workers=self.workers,
                progress=progress,
            )
            if self.reader.left_out:
                reasons = list(self.reader.left_out.values())
                logger.warning("left out %d instances of init images, such as %s", len(reasons), reasons[0])
                run.facts["left_out"] = reasons
        if recipe.augment is not None:
            confirm_carried(dataset, recipe.augment)
        if recipe.carry is not None:  # on all images of the dataset that have both kinds of labels
            compare(dataset.exists(field_names.instances(CARRIED)), SOURCE, CARRIED)
        if recipe.layout is not None:  # the mask is the label, and attention says how far it was obeyed
            compare(dataset.exists(field_names.instances(LAYOUT)), LAYOUT, SOURCE)


@contextmanager
def _begun(
    dataset: fo.Dataset, verb: str, settings: Mapping[str, Any], share: bool
) -> Iterator[tuple[runs.Run, JobLeases | None]]:
    """A block in which a run is recorded, with the leases by which other processes do parts of it."""
    if share:
        with shared_runs.joined(dataset, verb, settings) as (run, leases):
            yield run, leases
    else:
        with runs.continued(dataset, verb, settings) as run:
            yield run, None
