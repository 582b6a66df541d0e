"""Work in its own thread, with its progress: as messages to the App, or as the progress of a delegated run.

The App takes progress as messages that an operator yields, while the library blocks and calls back.
Knows nothing of what the work is.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext
from fiftyone.operators.message import GeneratedMessage

from diffucurate.generator.progress import Progress
from diffucurate.operators.runtime.running import Run, listed_run
from diffucurate.operators.runtime.uris import uri_of

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

#: The operator behind the button beside the progress bar.
CANCEL = uri_of("cancel_run")

#: Reports that follow each other faster than this many seconds are left out: the App draws each of them.
MIN_INTERVAL = 0.25

#: Seconds after which the last report is shown again: "Done" in the App hides the bar, but not what lies over the page
#: until the end of the run, below which nothing else can be done.
SHOWN_AGAIN = 2.0

#: Seconds between two looks at whether the run was cancelled.
LOOK = 0.2

STOPPING = "stopping after this batch"

T = TypeVar("T")


class Abandoned(BaseException):
    """Raised inside the library when the run was cancelled or its browser is gone, so that it stops cleanly."""


def streamed(
    ctx: ExecutionContext, work: Callable[[Listener], T], *, title: str
) -> Generator[GeneratedMessage, None, T]:
    """Yield the App's progress messages while ``work`` runs in a thread; returns what it returns.

    When the run is cancelled, or the generator closed (the browser has gone), the next report raises ``Abandoned``
    in ``work``; until then the App says that it is stopping.
    """
    reports: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
    with listed_run(title) as run:

        def on_progress(report: Progress) -> None:
            if run.stop.is_set():
                raise Abandoned
            reports.put(report)

        share, label, stopping = 0.0, "starting", False
        yield _progress_bar(ctx, run, share, label)
        shown_at = time.monotonic() - MIN_INTERVAL  # the first report is shown however soon it comes
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="diffucurate")
        future: Future[T] = pool.submit(work, on_progress)
        future.add_done_callback(lambda _: reports.put(None))
        try:
            while (report := _next(reports)) is not None:
                now, new = time.monotonic(), report is not _NOTHING
                if new:
                    share, label = in_words(report)
                if run.stop.is_set() and not stopping:
                    stopping, due = True, 0.0
                else:
                    due = MIN_INTERVAL if new else SHOWN_AGAIN
                if now - shown_at >= due or (new and report.note):
                    shown_at = now
                    yield _progress_bar(ctx, run, share, STOPPING if stopping else label, can_cancel=not stopping)
            return future.result()
        finally:
            pool.shutdown(wait=False)


#: Stands for a report where there is none.
_NOTHING = Progress(0, 0, 0.0, math.inf)


def _next(reports: queue.SimpleQueue[Progress | None]) -> Progress | None:
    """The next report, ``_NOTHING`` where none comes in time, or None at the end of the work."""
    try:
        return reports.get(timeout=LOOK)
    except queue.Empty:
        return _NOTHING


def _progress_bar(
    ctx: ExecutionContext, run: Run, share: float, label: str, *, can_cancel: bool = True
) -> GeneratedMessage:
    """What ``ctx.ops.set_progress`` shows, and a button that cancels the run."""
    shown = types.Object()
    shown.float("progress", view=types.ProgressView(label=f"{run.title}: {label}"))
    if can_cancel:
        shown.btn("cancel", "Cancel", on_click=CANCEL, params={"run": run.key}, variant="outlined")
    return ctx.ops.show_output(types.Property(shown).to_json(), {"progress": share})


def delegated_progress(ctx: ExecutionContext) -> Listener:
    """A listener that passes reports on to FiftyOne, which keeps them with the delegated run."""

    def on_progress(report: Progress) -> None:
        share, label = in_words(report)
        ctx.set_progress(progress=share, label=label)

    return on_progress


def in_words(report: Progress) -> tuple[float, str]:
    """The share that is done, in [0, 1], and a line such as '24 of 96, 1.3 images/s, 0:55 left'."""
    parts = (f"{report.done} of {report.total}", report.pace, report.note)
    return report.share, ", ".join(part for part in parts if part)
