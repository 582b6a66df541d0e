"""Labels of images as they are made: by a source in this process, or by the actors of a cluster that hold it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol

import fiftyone as fo
import numpy as np

from diffucurate.generator.progress import Listener, announce
from diffucurate.generator.sources.protocol import Labeller, LabelRequest, LabelResult
from diffucurate.generator.text.counted import counted
from diffucurate.plugin.cluster.connection import Resources, connected, resources
from diffucurate.plugin.cluster.engine import RayEngine
from diffucurate.plugin.cluster.label_worker import LabelItem, LabelledLease, LabelWorker
from diffucurate.plugin.cluster.pool import LeftOut, Pool
from diffucurate.plugin.labelling.images import SampleImage, item_of, read_images
from diffucurate.plugin.store.samples import all_images

logger = logging.getLogger(__name__)


class Labelled(NamedTuple):
    """A sample with the shape of its image, and its labels."""

    image: SampleImage
    result: LabelResult


class Skipped(NamedTuple):
    """An image that got no labels: its file, and what is wrong where it is not that."""

    path: str


class LabelWork(Protocol):
    """A source that labels samples, wherever that is."""

    @property
    def request(self) -> LabelRequest[Any]:
        """What it does, with what the source has chosen itself."""
        ...

    @property
    def unseen(self) -> Sequence[str]:
        """The classes that were asked for and that it cannot find."""
        ...

    @property
    def unmapped(self) -> Sequence[str]:
        """Its own classes that are none of those asked for."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What a run is to say of it."""
        ...

    def labelled(self, dataset: fo.Dataset, ids: Sequence[str], at_once: int) -> Iterator[Labelled | Skipped]:
        """The labels of samples, ``at_once`` of which are read together."""
        ...


class WorkHere:
    """A source that is loaded in this process."""

    def __init__(self, labeller: Labeller, only_kept: bool) -> None:
        self._labeller, self._only_kept = labeller, only_kept
        self.facts: dict[str, Any] = {}

    @property
    def request(self) -> LabelRequest[Any]:
        return self._labeller.request

    @property
    def unseen(self) -> Sequence[str]:
        return self._labeller.unseen

    @property
    def unmapped(self) -> Sequence[str]:
        return self._labeller.unmapped

    def labelled(self, dataset: fo.Dataset, ids: Sequence[str], at_once: int) -> Iterator[Labelled | Skipped]:
        for start in range(0, len(ids), at_once):
            batch = all_images(dataset).select(ids[start : start + at_once], ordered=True)
            images, failed = read_images(batch, with_maps=self._only_kept)
            for index, result in self._labeller.results(images):
                yield Labelled(images[index], result)
            yield from map(Skipped, failed)


class WorkOnRay:
    """A source that each actor of a cluster has loaded."""

    def __init__(self, ray: Any, needed: Resources, worker: partial[LabelWorker]) -> None:
        self._pool: Pool[LabelItem] = Pool(ray, needed, worker, logger.warning)
        self.request: LabelRequest[Any] = self._pool.ask(_request)
        self.unseen: Sequence[str] = ()
        self.unmapped: Sequence[str] = ()

    @property
    def facts(self) -> dict[str, Any]:
        return {"engine": "ray", "actors": self._pool.facts()}

    def labelled(self, dataset: fo.Dataset, ids: Sequence[str], at_once: int) -> Iterator[Labelled | Skipped]:
        at_work: dict[str, fo.Sample] = {}

        def leases() -> Iterator[list[LabelItem]]:
            for start in range(0, len(ids), at_once):
                batch = list(all_images(dataset).select(ids[start : start + at_once], ordered=True))
                at_work.update({sample.id: sample for sample in batch})
                if batch:  # somebody may have deleted them
                    yield [item_of(sample) for sample in batch]

        for each in self._pool.results(leases()):
            if isinstance(each, LeftOut):
                yield Skipped(f"{at_work.pop(each.item.sample_id).filepath}: {each.reason}")
                continue
            lease: LabelledLease = each.result
            self.unseen = _together(self.unseen, lease.unseen)
            self.unmapped = _together(self.unmapped, lease.unmapped)
            for sample_id, (shape, result) in lease.results.items():
                blank = np.broadcast_to(np.uint8(0), (*shape, 3))  # the pixels are read there
                yield Labelled(SampleImage(at_work.pop(sample_id), blank), result)
            for sample_id, what in lease.skipped.items():
                del at_work[sample_id]
                yield Skipped(what)

    def close(self) -> None:
        """End all actors at once."""
        self._pool.close()


@contextmanager
def label_work(
    source: str, request: LabelRequest[Any], only_kept: bool, engine: RayEngine, progress: Listener | None
) -> Iterator[WorkOnRay]:
    """A block in which the actors of a cluster hold a source; they end with it.

    Raises:
        ModelError: no cluster answers, or the source cannot be loaded there.
    """
    plain = replace(request, painters=partial(list, tuple(request.painters())))  # which no actor can ask the dataset
    with connected(engine) as ray:
        needed = resources(ray, engine, request.device)
        announce(progress, f"Ray at {engine.where}: {counted(needed.actors, 'actor')} load the source")
        work = WorkOnRay(ray, needed, partial(LabelWorker, source, plain, only_kept))
        try:
            yield work
        finally:
            work.close()


def _request(worker: LabelWorker) -> LabelRequest[Any]:
    return worker.request


def _together(names: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*names, *more]))
