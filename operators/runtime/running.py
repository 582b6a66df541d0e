"""The runs that this process streams to the App, by an id of their own, so that they can be cancelled from there."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RunningTask:
    """A run: what it is called, and whether it shall stop at its next report."""

    key: str
    title: str
    stop: threading.Event = field(default_factory=threading.Event)


_runs: dict[str, RunningTask] = {}


@contextmanager
def running_task(title: str) -> Iterator[RunningTask]:
    """A new run, listed as long as the block lasts. A block that is left early stops the run."""
    run = RunningTask(secrets.token_hex(4), title)
    _runs[run.key] = run
    try:
        yield run
    finally:
        run.stop.set()
        del _runs[run.key]


def runs() -> list[RunningTask]:
    """All that are under way, the oldest first."""
    return list(_runs.values())


def cancel(key: str | None = None) -> int:
    """Tell one run to stop, or all of them; how many were told. One that is over already is none."""
    told = [run for run in runs() if key in (None, run.key)]
    for run in told:
        run.stop.set()
    return len(told)
