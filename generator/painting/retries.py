"""Jobs whose images the model's safety checker blacks out are painted again with other seeds."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

from diffucurate.generator.errors import BlackedOutError, ImageError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.jobs.retries import BlackedOut, retry_seed
from diffucurate.generator.painting.painter import Painting, paint
from diffucurate.generator.progress import Listener, Meter, part_of


def paint_with_retries(
    jobs: Sequence[Job],
    *,
    retries: int,
    count: BlackedOut,
    on_failure: Callable[[Job, ImageError], None],
    on_batch: Listener | None = None,
    **options: Any,
) -> Generator[Painting, None, None]:
    """``paint``; what is blacked out is painted again after all others.

    A painting's job has the seed that made the image, and the id of the planned job: that seed follows from the id
    (``retry_seed``), so that a run which is continued makes the same images.

    Args:
        jobs: what to paint.
        retries: how often each is painted again.
        count: is counted up.
        on_failure: as for ``paint``; called for a blacked-out image once no attempt is left.
        on_batch: as for ``paint``; each attempt is more to do.
        options: of ``paint``.
    """
    waiting, done = list(jobs), 0
    for attempt in range(retries + 1):
        refused: list[Job] = []

        def failed(job: Job, error: ImageError, attempt: int = attempt, refused: list[Job] = refused) -> None:
            if not isinstance(error, BlackedOutError):
                on_failure(job, error)
                return
            count.images += attempt == 0
            if attempt < retries:
                refused.append(replace(job, seed=retry_seed(job.job_id, attempt + 1)))
            else:
                on_failure(job, error)

        listener = part_of(on_batch, done, done + len(waiting)) if done else on_batch
        for painting in paint(waiting, on_failure=failed, on_batch=listener, **options):
            count.painted_again += attempt > 0
            yield painting
        if not refused:
            return
        done, waiting = done + len(waiting), refused
        note = f"safety checker: {len(refused):,} blacked out; painting again with other seeds"
        Meter(on_batch, done + len(refused), done=done).advance(0, note)
