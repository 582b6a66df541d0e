"""Jobs -> samples with attention labels in a dataset: what every verb that paints has in common.

Every file of a sample is complete before the sample is added, and samples are added a batch at a time, so an
interruption loses at most one batch. Knows nothing of recipes: the caller chooses the jobs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import fiftyone as fo
from pymongo.errors import ConnectionFailure

from diffucurate.generator.errors import DatasetError, ImageError
from diffucurate.generator.jobs.retries import BlackedOut
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.progress import Listener, announce, part_of
from diffucurate.plugin.cluster.paint_worker import Destination
from diffucurate.plugin.fiftyone_private import is_stored
from diffucurate.plugin.generation.init_sources import ADAPTER
from diffucurate.plugin.generation.shared_jobs import Turns, shared_turns, stored_jobs
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import Phrases
from diffucurate.plugin.store.job_leases import JobLeases
from diffucurate.plugin.store.label_files import attention_fields, store_labels, values_of
from diffucurate.plugin.store.media_folder import media_folder, remove_unnamed
from diffucurate.plugin.store.painted_files import ImageFile, WrittenPainting, write_image
from diffucurate.plugin.store.runs import Run
from diffucurate.plugin.store.samples import job_fields

if TYPE_CHECKING:
    from diffucurate.generator.detection.adapter import DetectionAdapter
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.painting.painter import Painting
    from diffucurate.generator.recipe.model_options import ModelOptions
    from diffucurate.plugin.cluster.paint_pool import PaintPool
    from diffucurate.plugin.generation.init_reader import InitImageReader
    from diffucurate.plugin.generation.layout_reader import LayoutReader

logger = logging.getLogger(__name__)

#: Painting, all of the dataset's classes, folder and stem of the files to write -> the values of label fields.
Labeller: TypeAlias = "Callable[[Painting, Phrases, Path, str], dict[str, Any]]"

#: MongoDB's code for a value that a unique index holds already.
_DUPLICATE = "E11000"

#: Paintings kept in memory before they are written, unless the batch is larger.
_WRITE_AT_ONCE = 8


def paint_into(
    dataset: fo.Dataset,
    jobs: Sequence[Job],
    run: Run,
    *,
    pipe: Any,
    model_options: ModelOptions,
    classes: Phrases,
    batch_size: int | None = None,
    source_ids: Mapping[str, str] | None = None,
    init_images: InitImageReader | None = None,
    layouts: LayoutReader | None = None,
    labels: Labeller | None = None,
    look_again: bool = False,
    adapter: DetectionAdapter | None = None,
    retries: int = 0,
    leases: JobLeases | None = None,
    workers: PaintPool | None = None,
    progress: Listener | None = None,
) -> None:
    """Paint ``jobs``, none of which the dataset holds, and add them with their labels.

    The run's facts say how many were ``added``, on which ``device`` and in how many ``seconds``, also when it is
    stopped on the way; ``blacked_out`` counts the images that a safety checker took for unsafe.

    Args:
        dataset: whose fields are declared already.
        jobs: what to paint.
        run: whose key is stored with the samples and in the names of their files.
        pipe: what paints.
        model_options: what ``pipe`` is adapted to.
        classes: all of the dataset's with their phrases, in the order of their ids.
        batch_size: images painted at once; by default what the device usually holds.
        source_ids: job id -> the sample of which that job is a variation.
        init_images: returns the init image of a job. A job whose init image cannot be read, or whose image the model's
            safety checker blacked out, is left out: the log names it, and so do the run's facts in ``failed``, by the
            sample of the init image or the job's id.
        layouts: returns the mask of a job that is painted by one; what cannot be read is left out as init images are.
        labels: makes a painting's labels, from its attention alone by default.
        look_again: as for ``paint``.
        adapter: as for ``paint``; what it finds of ``classes`` is stored as labels of the source ``adapter``.
        retries: how often an image that was blacked out is painted again, with another seed.
        leases: by which other processes paint the rest of the jobs; returns when all are painted, whoever did it.
        workers: the actors of a cluster that paint instead of ``pipe``; they know what their model is adapted to, and
            how it paints. The run's facts say what each of ``actors`` did, and ``seconds`` are those of all of them.
        progress: called after each batch.

    Raises:
        ModelError: the model cannot be traced, or one image is too much for the memory.
        DatasetError: someone else added one of the jobs meanwhile.
    """
    from diffucurate.generator.models.placement import device_of
    from diffucurate.generator.painting.retries import paint_with_retries

    run.facts |= {"added": 0, "device": str(device_of(pipe)) if workers is None else workers.device}
    started = time.monotonic()
    at_once = max(batch_size or 0, _WRITE_AT_ONCE)
    planned = {job.job_id: job.seed for job in jobs}
    writer = _Writer(dataset, classes, run, at_once, source_ids or {}, labels or attention_fields, planned, leases)

    def left_out(job: Job, error: ImageError) -> None:
        note_failure(run, _origin(job), str(error))
        if leases is not None:
            leases.fail(job.job_id)
        if workers is not None:  # one of them may have written a part of its files
            writer.remove_files([job])

    count = BlackedOut()

    def painted() -> Iterator[Generator[Painting | WrittenPainting, None, None]]:
        if workers is not None:
            readers = {"init_images": _only_for("source", init_images), "layouts": _only_for("layout", layouts)}
            # Labels that need more than the attention are made here.
            place = Destination(media_folder(dataset), run.key, classes) if labels is None else None
            yield workers.paint(jobs, place, readers=readers, count=count, on_failure=left_out, on_batch=progress)
            return
        turns: Turns = iter([(0, jobs)])
        if leases is not None:
            turns = shared_turns(dataset, jobs, leases, pipe, batch_size, progress)
        for done, turn in turns:
            yield paint_with_retries(
                turn,
                retries=retries,
                count=count,
                pipe=pipe,
                adapted_to=model_options,
                batch_size=batch_size,
                look_again=look_again,
                adapter=adapter,
                on_batch=part_of(progress, done, len(jobs)) if done else progress,
                init_images=init_images,
                layouts=layouts,
                on_failure=left_out,
            )

    try:
        for paintings in painted():
            with closing(paintings):
                try:
                    for painting in paintings:
                        writer.add(painting)
                finally:  # on Ctrl-C what is painted is kept
                    writer.flush()
    finally:
        run.facts["seconds"] = round(time.monotonic() - started, 3)
        if workers is not None:
            run.facts |= {"engine": "ray", "seconds": workers.seconds, "actors": workers.facts()}
        if count.images:
            run.facts["blacked_out"] = asdict(count)
    if count.images:
        logger.warning("%s", count)
        announce(progress, str(count), len(jobs))


def _only_for(needed: str, reader: Callable[[Job], Any] | None) -> Callable[[Job], Any]:
    """A reader that gives None for jobs without the attribute for which something has to be read."""
    return lambda job: None if reader is None or getattr(job, needed) is None else reader(job)


def job_ids(dataset: fo.Dataset) -> set[str]:
    """The jobs that a dataset holds."""
    return set(dataset.values(field_names.JOB_ID)) if dataset.has_sample_field(field_names.JOB_ID) else set()


def note_failure(run: Run, sample_id: str, reason: str) -> None:
    """Log what cannot be used and keep it among the run's facts."""
    logger.warning("left out: %s", reason)
    run.facts["failed"] = {**run.facts.get("failed", {}), sample_id: reason}


def _origin(job: Job) -> str:
    """What a failure is noted by: the sample that the job starts from, else the job."""
    origin = job.source or job.layout
    return job.job_id if origin is None else origin.sample_id


class _Writer:
    """Turns paintings into samples, several at a time."""

    def __init__(
        self,
        dataset: fo.Dataset,
        classes: Phrases,
        run: Run,
        at_once: int,
        source_ids: Mapping[str, str],
        labels: Labeller,
        planned: Mapping[str, int],
        leases: JobLeases | None,
    ) -> None:
        self._dataset, self._classes, self._run, self._at_once = dataset, classes, run, at_once
        self._source_ids, self._labels, self._planned = source_ids, labels, planned
        self._leases = leases
        self._folder = media_folder(dataset)
        self._waiting: list[Painting | WrittenPainting] = []

    def add(self, painting: Painting | WrittenPainting) -> None:
        self._waiting.append(painting)
        if len(self._waiting) >= self._at_once:
            self.flush()

    def flush(self) -> None:
        """Write the files of all waiting paintings, then add their samples."""
        paintings, self._waiting = self._waiting, []
        if not paintings:
            return
        if self._leases is not None:  # not those that were painted too late
            held = self._leases.held(painting.job.job_id for painting in paintings)
            paintings = [painting for painting in paintings if painting.job.job_id in held]
        try:
            samples = [self._sample(painting) for painting in paintings]
            self._add(samples)
        except BaseException as error:
            if not isinstance(error, ConnectionFailure):  # which files samples name is asked of the database
                self.remove_files([painting.job for painting in paintings])
            raise

    def _add(self, samples: Sequence[fo.Sample]) -> None:
        """Add samples; of those that share their jobs with other processes, what somebody else added is left out.

        Raises:
            DatasetError: the dataset was deleted, or somebody else added a job that nobody else should paint.
        """
        if not is_stored(self._dataset):  # else they would go to a collection of no dataset's
            raise DatasetError(f"dataset '{self._dataset.name}' was deleted while it was painted")
        while samples:
            try:
                self._dataset.add_samples(samples, progress=False)
            except ValueError as error:
                if _DUPLICATE not in str(error):
                    raise
                if self._leases is None:
                    raise DatasetError(
                        f"someone else is adding the same images to dataset '{self._dataset.name}'; "
                        "wait until they are done, then start again for the rest"
                    ) from error
                stored = stored_jobs(self._dataset, [sample[field_names.JOB_ID] for sample in samples])
                samples = [sample for sample in samples if sample[field_names.JOB_ID] not in stored]
            else:
                self._run.facts["added"] += len(samples)
                return

    def remove_files(self, jobs: Sequence[Job]) -> None:
        """Remove the files of jobs that became no samples; none that a sample names."""
        stems = [self._stem(job) for job in jobs]
        remove_unnamed((str(path) for stem in stems for path in self._folder.glob(f"*/{stem}.*")), self._folder)

    def _stem(self, job: Job) -> str:
        return f"{job.job_id}-{self._run.key}"

    def _sample(self, painting: Painting | WrittenPainting) -> fo.Sample:
        job = painting.job
        if isinstance(painting, WrittenPainting):
            image, values = painting.image, values_of(painting.attention)
        else:
            image, values = self._written(painting)
        width, height = image.size
        metadata = fo.ImageMetadata(
            size_bytes=image.size_bytes, mime_type="image/png", width=width, height=height, num_channels=3
        )
        own = job_fields(
            job,
            self._run.key,
            conditions=painting.conditions,
            source_id=self._source_ids.get(job.job_id),
            planned_seed=self._planned[job.job_id],
            lost_regions=painting.lost_regions,
        )
        return fo.Sample(filepath=image.path, metadata=metadata, **own, **values)

    def _written(self, painting: Painting) -> tuple[ImageFile, dict[str, Any]]:
        """The file of a painting's image, and the values of its labels' fields, whose files are written too."""
        job, stem = painting.job, self._stem(painting.job)
        try:
            values = self._labels(painting, self._classes, self._folder, stem)
        except ImageError as error:  # the image is painted, and has its attention labels at least
            note_failure(self._run, _origin(job), str(error))
            values = attention_fields(painting, self._classes, self._folder, stem)
        if painting.found is not None:
            known = [each for each in painting.found if each.label in self._classes]
            shape = painting.image.shape[0], painting.image.shape[1]
            found = Labels.from_instances(known, tuple(self._classes), shape)
            values = values | store_labels(ADAPTER, found, self._folder, stem)
        return write_image(painting, self._folder, stem), values
