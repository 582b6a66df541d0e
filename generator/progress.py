"""How far a long step has come, how fast it goes and how long it will take. Loads nothing and draws nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias


@dataclass(frozen=True)
class Progress:
    """One report of a long step.

    Attributes:
        done: how many images, or whatever the ``unit`` is, are done.
        total: how many there are in all.
        images_per_second: since the start; 0 as long as nothing is done.
        seconds_left: at that pace; infinite as long as nothing is done.
        note: what has changed, such as the batch size; mostly empty.
        unit: what ``images_per_second`` counts.
    """

    done: int
    total: int
    images_per_second: float
    seconds_left: float
    note: str = ""
    unit: str = "images"

    @property
    def share(self) -> float:
        """What is done of the total, in [0, 1]; 0 where there is nothing to do."""
        return self.done / max(self.total, 1)

    @property
    def pace(self) -> str:
        """``1.3 images/s, 0:55 left``; only the first part when all is done, and empty before anything is."""
        if not self.images_per_second:
            return ""
        speed = f"{self.images_per_second:.1f} {self.unit}/s"
        if self.done >= self.total:
            return speed
        minutes, seconds = divmod(round(self.seconds_left), 60)
        return f"{speed}, {minutes}:{seconds:02d} left"

    def within(self, before: int, total: int) -> Progress:
        """The same report as one of a longer step: of ``total`` images, ``before`` of which were done earlier."""
        done = before + self.done
        return replace(self, done=done, total=total, seconds_left=_left(total - done, self.images_per_second))


#: What is called with each report; whatever it raises ends the step.
Listener: TypeAlias = Callable[[Progress], None]


class Meter:
    """Counts what is done and reports it: the pace is the mean since the meter was made."""

    def __init__(
        self, listener: Listener | None, total: int, unit: str = "images", *, done: int = 0, images_each: int = 1
    ) -> None:
        """``done`` were done before, by a run that is continued; each count stands for ``images_each`` images."""
        self._listener, self._total, self._unit = listener, total, unit
        self._first = self._done = done
        self._images_each = images_each
        self._start = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        """``count`` more are done."""
        self.reach(self._done + count, note)

    def reach(self, done: int, note: str = "") -> None:
        """``done`` are done in all."""
        self._done = done
        if self._listener is not None:
            pace = (done - self._first) / max(time.monotonic() - self._start, 1e-9)
            left = _left(self._total - done, pace)
            self._listener(Progress(done, self._total, pace * self._images_each, left, note, self._unit))


def announce(listener: Listener | None, note: str, total: int = 0) -> None:
    """Report a note before any of ``total`` images is done."""
    if listener is not None:
        listener(Progress(0, total, 0.0, math.inf, note))


def part_of(listener: Listener | None, before: int, total: int) -> Listener | None:
    """The listener of a part of a longer step of ``total`` images, ``before`` of which come before this part."""
    if listener is None:
        return None
    return lambda report: listener(report.within(before, total))


def step_of(listener: Listener | None, index: int, count: int) -> Listener | None:
    """The listener of step ``index`` (from 0) of ``count`` over the same images: all steps become one count."""
    if listener is None or count == 1:
        return listener
    return lambda report: listener(report.within(index * report.total, count * report.total))


def _left(count: int, pace: float) -> float:
    """Seconds until ``count`` more are done at a pace per second."""
    return count / pace if pace else math.inf
