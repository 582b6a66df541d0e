"""The runs that this process streams to the App, by an id of their own, so that they can be cancelled from there."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Run:
    """A run with its title; ``stop`` is set when it shall end at its next report of progress."""

    key: str
    title: str
    stop: threading.Event = field(default_factory=threading.Event)


_runs: dict[str, Run] = {}


@contextmanager
def listed_run(title: str) -> Iterator[Run]:
    """A new run, listed as long as the block lasts. Leaving the block sets ``stop``."""
    run = Run(secrets.token_hex(4), title)
    _runs[run.key] = run
    try:
        yield run
    finally:
        run.stop.set()
        del _runs[run.key]


def runs() -> list[Run]:
    """All runs of this process, the oldest first."""
    return list(_runs.values())


def cancel(key: str | None = None) -> int:
    """Stop one run, or all of them; returns how many. A run that is over already does not count."""
    stopped = [run for run in runs() if key in (None, run.key)]
    for run in stopped:
        run.stop.set()
    return len(stopped)
