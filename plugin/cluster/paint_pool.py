"""A recipe's jobs, painted by the actors of a Ray cluster; seen from the one process that adds their samples."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from diffucurate.generator.errors import ImageError
from diffucurate.generator.jobs.retries import BlackedOut
from diffucurate.generator.progress import Listener, Meter, announce
from diffucurate.generator.text.counted import counted
from diffucurate.plugin.cluster.connection import Resources, connected, resources
from diffucurate.plugin.cluster.engine import RayEngine
from diffucurate.plugin.cluster.paint_worker import Destination, PaintedLease, PaintItem, PaintWorker
from diffucurate.plugin.cluster.pool import LeftOut, Pool

if TYPE_CHECKING:
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.painting.painter import Painting
    from diffucurate.generator.recipe.recipe import Recipe
    from diffucurate.plugin.store.painted_files import WrittenPainting

logger = logging.getLogger(__name__)

#: Seconds between two notes of how fast each actor is.
_PACES = 60.0


class PaintPool:
    """Actors that hold a recipe's model; made by ``paint_pool``."""

    def __init__(self, ray: Any, needed: Resources, make: Callable[[], PaintWorker], progress: Listener | None) -> None:
        self._progress: Listener | None = progress
        self._meter: Meter | None = None
        self._pool: Pool[PaintItem] = Pool(ray, needed, make, self._say)

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns of the pipeline and these arguments, in one of the actors."""
        return self._pool.ask(_asked_of_pipe, function, arguments)

    def paint(
        self,
        jobs: Sequence[Job],
        destination: Destination | None,
        *,
        readers: Mapping[str, Callable[[Job], Any]],
        count: BlackedOut,
        on_failure: Callable[[Job, ImageError], None],
        on_batch: Listener | None = None,
    ) -> Generator[WrittenPainting | Painting, None, None]:
        """Paint jobs, batch by batch, in the order in which actors finish them.

        Args:
            jobs: what to paint.
            destination: where they are labelled by their attention and written; None where pixels are wanted.
            readers: keyword of ``paint`` -> what reads that for a job here; None where a job does without.
            count: is counted up.
            on_failure: called for a job that is left out: by ``paint``, or because it failed in two actors.
            on_batch: called after each batch, and when an actor is lost.

        Raises:
            ModelError, DatasetError: as ``PaintWorker.work``, or as ``Pool.results``.
        """
        self._meter = meter = Meter(on_batch, len(jobs))
        told = time.monotonic()
        by_id = {job.job_id: job for job in jobs}
        at_once: dict[Any, int] = {}
        leases = self._leases(jobs, destination, readers, at_once, on_failure)
        for each in self._pool.results(leases):
            if isinstance(each, LeftOut):
                job = each.item.job
                on_failure(job, ImageError(f"job {job.job_id} (seed {job.seed}) {each.reason}"))
                meter.advance()
                continue
            result: PaintedLease = each.result
            count.images += result.blacked_out.images
            count.painted_again += result.blacked_out.painted_again
            for job_id, reason in result.failed.items():
                on_failure(by_id[job_id], ImageError(reason))
            at_once[_alike(each.items[0].job)] = result.at_once
            note = ""
            if time.monotonic() - told > _PACES:
                note, told = self.paces(), time.monotonic()
            yield from result.paintings
            meter.advance(len(each.items), note)

    def facts(self) -> list[dict[str, Any]]:
        """What each actor did."""
        return self._pool.facts()

    @property
    def device(self) -> str:
        """That of the first actor."""
        return str(self._pool.ask(_device))

    @property
    def seconds(self) -> float:
        """What all actors have painted for, added up."""
        return self._pool.seconds

    def paces(self) -> str:
        """How fast each actor is, in words."""
        paces = [each["images_per_second"] for each in self.facts()]
        return f"images/s of {counted(len(paces), 'actor')}: {', '.join(f'{pace:.2f}' for pace in paces)}"

    def close(self) -> None:
        """End all actors at once."""
        self._pool.close()

    def _say(self, note: str) -> None:
        """Report what became of an actor, amid what is painted where anything is."""
        logger.warning(note)
        if self._meter is None:
            announce(self._progress, note)
        else:
            self._meter.advance(0, note)

    def _leases(
        self,
        jobs: Sequence[Job],
        destination: Destination | None,
        readers: Mapping[str, Callable[[Job], Any]],
        at_once: dict[Any, int],
        on_failure: Callable[[Job, ImageError], None],
    ) -> Iterator[list[PaintItem]]:
        from diffucurate.generator.painting.painter import groups

        for group in groups(jobs):
            alike = _alike(group[0])
            at_once[alike] = self._pool.ask(PaintWorker.at_once, group[0])
            waiting = list(group)
            while waiting:
                turn, waiting = waiting[: at_once[alike]], waiting[at_once[alike] :]
                items = []
                for job in turn:
                    try:
                        read = {keyword: reader(job) for keyword, reader in readers.items()}
                    except ImageError as error:
                        on_failure(job, error)
                    else:
                        wanted = {keyword: value for keyword, value in read.items() if value is not None}
                        items.append(PaintItem(job, destination, wanted))
                if items:
                    yield items


@contextmanager
def paint_pool(
    recipe: Recipe, engine: RayEngine, device: str | None, batch_size: int | None, progress: Listener | None
) -> Iterator[PaintPool]:
    """A block in which the actors of a cluster hold a recipe's model; they end with it.

    Raises:
        ModelError: no cluster answers.
    """
    with connected(engine) as ray:
        needed = resources(ray, engine, device)
        announce(progress, f"Ray at {engine.where}: {counted(needed.actors, 'actor')} load the model")
        workers = PaintPool(ray, needed, partial(PaintWorker, recipe, device, batch_size), progress)
        try:
            yield workers
        finally:
            workers.close()


def _asked_of_pipe(worker: PaintWorker, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    return function(worker.pipe, *arguments)


def _device(worker: PaintWorker) -> str:
    return str(worker.facts()["device"])


def _alike(job: Job) -> Any:
    from diffucurate.generator.painting.painter import together

    return together(job)
