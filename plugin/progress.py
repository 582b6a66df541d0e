"""Counts what a verb has done and tells whoever listens. Draws nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from diffucurate.generator.progress import Progress

Listener = Callable[[Progress], None]


class Meter:
    """Turns counts into ``Progress``: images per second since the start, and the seconds left at that pace."""

    def __init__(self, listener: Listener | None, total: int, unit: str = "images") -> None:
        self._listener, self._total, self._unit, self._done = listener, total, unit, 0
        self._start = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        """``count`` more images are done."""
        self.reach(self._done + count, note)

    def reach(self, done: int, note: str = "") -> None:
        """``done`` images are done in all."""
        self._done = done
        if self._listener is not None:
            pace = done / max(time.monotonic() - self._start, 1e-9)
            left = (self._total - done) / pace if pace else float("inf")
            self._listener(Progress(done, self._total, pace, left, note, self._unit))


def step_of(listener: Listener | None, index: int, count: int) -> Listener | None:
    """The listener of step ``index`` (from 0) of ``count`` over the same images: all steps become one count."""
    if listener is None or count == 1:
        return listener

    def on_progress(report: Progress) -> None:
        done, total = report.done + index * report.total, report.total * count
        left = (total - done) / report.images_per_second if report.images_per_second else float("inf")
        listener(replace(report, done=done, total=total, seconds_left=left))

    return on_progress
