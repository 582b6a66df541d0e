"""The jobs that this process paints of those that several paint together, a batch at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import fiftyone as fo

from diffucurate.generator.progress import Listener, Progress
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.job_leases import JobLeases

if TYPE_CHECKING:
    from diffucurate.generator.jobs.jobs import Job

#: How many of all jobs are done, and those that are painted next.
Turns: TypeAlias = "Iterator[tuple[int, Sequence[Job]]]"

#: Seconds after which a process with nothing left to lease looks whether the others are done, or gone.
_LOOK_AGAIN = 0.5


def shared_turns(
    dataset: fo.Dataset,
    jobs: Sequence[Job],
    leases: JobLeases,
    pipe: Any,
    batch_size: int | None = None,
    progress: Listener | None = None,
) -> Turns:
    """Lease jobs, a batch that is painted at once each time, until all are in the dataset or cannot be painted.

    The jobs of a turn are given back when the next one is asked for: by then the caller has added their samples. At the
    end it waits for those that other processes have leased, and takes those of one that was killed.

    Args:
        dataset: where all processes add what they paint.
        jobs: of all of them, in the same order.
        leases: of this process.
        pipe: what paints, by which the size of a batch is known.
        batch_size: images at once that were asked for.
        progress: called while this process waits for others.
    """
    from diffucurate.generator.painting.painter import groups, images_at_once

    waiting, done, started = list(jobs), 0, time.monotonic()
    while waiting:
        elsewhere: list[Job] = []
        before = done
        for group in map(deque, groups(waiting)):
            while group:
                turn = _leased(group, images_at_once(pipe, group[0], batch_size), leases, elsewhere)
                stored = stored_jobs(dataset, [job.job_id for job in turn])
                leases.give_back(stored)
                done += len(stored)
                if todo := [job for job in turn if job.job_id not in stored]:
                    yield done, todo
                    leases.give_back(job.job_id for job in todo)
                    done += len(todo)
        over = stored_jobs(dataset, [job.job_id for job in elsewhere]) | leases.failed()
        waiting = [job for job in elsewhere if job.job_id not in over]
        done += len(elsewhere) - len(waiting)
        if waiting and done == before:
            if progress is not None:
                pace = done / (time.monotonic() - started)
                note = f"waiting for {len(waiting):,} images that other processes paint"
                progress(Progress(done, len(jobs), pace, len(waiting) / pace if pace else float("inf"), note))
            time.sleep(_LOOK_AGAIN)


def stored_jobs(dataset: fo.Dataset, job_ids: Collection[str]) -> set[str]:
    """Those of the jobs of which the dataset holds a sample at this moment."""
    view = dataset.match(fo.ViewField(field_names.JOB_ID).is_in(list(job_ids)))
    return set(view.values(field_names.JOB_ID)) if job_ids else set()


def _leased(group: deque[Job], size: int, leases: JobLeases, elsewhere: list[Job]) -> list[Job]:
    """The next jobs of a group that could be leased, ``size`` at most; those that could not go to ``elsewhere``."""
    turn: list[Job] = []
    while group and len(turn) < size:
        asked = [group.popleft() for _ in range(min(size - len(turn), len(group)))]
        taken = set(leases.take([job.job_id for job in asked]))
        turn += [job for job in asked if job.job_id in taken]
        elsewhere += [job for job in asked if job.job_id not in taken]
    return turn
