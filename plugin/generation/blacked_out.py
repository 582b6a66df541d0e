"""What became of images that a safety checker blacked out, for the message at the end of a run."""

from __future__ import annotations

from datetime import UTC, datetime

import fiftyone as fo

from diffucurate.generator.jobs.retries import BlackedOut
from diffucurate.plugin.store import runs


def now() -> str:
    """The time as runs record it, to ask later what ended since."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def blacked_out_since(dataset: fo.Dataset, since: str) -> BlackedOut | None:
    """How many images were blacked out in runs that ended since a time; None where none were."""
    count = BlackedOut()
    for key in dataset.list_runs(method=runs.method("generate")):
        run = runs.read(dataset, key)
        if run.ended is not None and run.ended >= since and "blacked_out" in run.facts:
            own = BlackedOut(**run.facts["blacked_out"])
            count = BlackedOut(count.images + own.images, count.painted_again + own.painted_again)
    return count if count.images else None
