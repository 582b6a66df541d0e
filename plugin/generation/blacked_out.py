"""What became of images that a safety checker blacked out, for the message at the end of ``generate``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeAlias

import fiftyone as fo

from diffucurate.generator.jobs.retries import BlackedOut
from diffucurate.plugin.store import runs

#: The key of a run and when it ended; the same run can end again where it was continued.
Ended: TypeAlias = tuple[str, str | None]


def ended_runs(names: Iterable[str]) -> set[Ended]:
    """The runs of ``generate`` that datasets of these names have, as far as there are such datasets."""
    datasets = [fo.load_dataset(name) for name in names if fo.dataset_exists(name)]
    return {(run.key, run.ended) for dataset in datasets for run in _runs(dataset)}


def blacked_out(dataset: fo.Dataset, before: Collection[Ended]) -> BlackedOut | None:
    """How many images were blacked out in a dataset's runs but those that had ended before; None where none were."""
    count = BlackedOut()
    for run in _runs(dataset):
        if (run.key, run.ended) not in before and "blacked_out" in run.facts:
            own = BlackedOut(**run.facts["blacked_out"])
            count = BlackedOut(count.images + own.images, count.painted_again + own.painted_again)
    return count if count.images else None


def _runs(dataset: fo.Dataset) -> list[runs.Record]:
    return [runs.read(dataset, key) for key in dataset.list_runs(method=runs.method("generate"))]
