"""A run that several processes do together: one key, one record, and facts that are those of all of them.

The first one begins the record, or takes up that of a run that was stopped or killed; the last one ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import fiftyone as fo
import pymongo
from pymongo.errors import ConnectionFailure

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.fiftyone_private import is_stored, run_facts, update_run
from diffucurate.plugin.store.job_leases import JobLeases, job_leases
from diffucurate.plugin.store.lease import held, shared, sharers
from diffucurate.plugin.store.runs import (
    DOING,
    DONE,
    RUNNING,
    STOPPED,
    Run,
    deletion_named,
    new_key,
    now,
    register,
    unfinished,
    work_of,
)

#: Seconds for which a process waits while another one begins the run, or ends it.
_WAIT = 120

#: Facts that are added up over processes; ``seconds`` are then those of all of them.
_SUMS = ("added", "seconds", "processes")


class SharedRun(NamedTuple):
    """A run that this process is one of, and the jobs that it has leased."""

    run: Run
    jobs: JobLeases


@contextmanager
def alone(dataset: fo.Dataset, work: str) -> Iterator[None]:
    """A block that one process at a time enters, for what is read and then written; others wait for it."""
    with held(dataset, f"door-{work}", "begins or ends a shared run", wait=_WAIT):
        dataset.reload()
        yield


@contextmanager
def joined(dataset: fo.Dataset, verb: str, settings: Mapping[str, Any]) -> Iterator[SharedRun]:
    """A block in which this process does a part of a run, as others may that have the same settings.

    Raises:
        DatasetError: another process does the same work alone, or the dataset was deleted.
    """
    work = work_of(verb, settings)
    with job_leases(dataset) as jobs, shared(dataset, work, DOING) as end_share:
        with alone(dataset, work):
            first = sharers(dataset, work) == 1
            key = unfinished(dataset, verb, settings)
            run = Run(key or new_key(verb))
            if first:
                jobs.forget_failures()
            if first or key is None:
                register(dataset, verb, settings, run.key, RUNNING)
        status = STOPPED
        try:
            with deletion_named(dataset, verb):
                yield SharedRun(run, jobs)
            status = DONE
        finally:
            with suppress(ConnectionFailure, DatasetError), pymongo.timeout(_WAIT):
                _leave(dataset, work, run, status, end_share)


def _leave(dataset: fo.Dataset, work: str, run: Run, status: str, end_share: Callable[[], None]) -> None:
    """Add this process's facts to the run's, and end it where nobody else is at it."""
    with held(dataset, f"door-{work}", "ends a shared run", wait=_WAIT):
        end_share()  # here, so that of two that leave one is the last
        facts = _together(run_facts(dataset, run.key), {**run.facts, "processes": 1})
        change: dict[str, Any] = {"config.facts": facts}
        if not sharers(dataset, work):
            change |= {"config.status": status, "config.ended": now()}
        update_run(dataset, run.key, {"$set": change})
    if is_stored(dataset):
        dataset.reload()


def _together(earlier: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of two processes as one's."""
    facts = {**earlier, **own}
    for name in _SUMS:
        if name in earlier and name in own:
            facts[name] = round(earlier[name] + own[name], 3)
    if "failed" in earlier and "failed" in own:
        facts["failed"] = {**earlier["failed"], **own["failed"]}
    if "blacked_out" in earlier and "blacked_out" in own:
        facts["blacked_out"] = {
            part: earlier["blacked_out"][part] + own["blacked_out"][part] for part in own["blacked_out"]
        }
    if "left_out" in earlier and "left_out" in own:
        facts["left_out"] = list(dict.fromkeys([*earlier["left_out"], *own["left_out"]]))
    return facts
