"""What an actor does that paints: it loads the model once, paints jobs, labels them and writes their files.

Knows no database: it takes jobs with what has to be read for them, and returns what their samples are made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffucurate.generator.errors import DatasetError, ImageError
from diffucurate.generator.jobs.retries import BlackedOut
from diffucurate.plugin.store.painted_files import WrittenPainting, write_painting

if TYPE_CHECKING:
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.painting.painter import Painting
    from diffucurate.generator.recipe.recipe import Recipe


@dataclass(frozen=True)
class Destination:
    """Where paintings are written: ``folder`` at the same path on all machines, files named by a run's ``key``;
    ``classes`` are all of the dataset's with their phrases, in the order of their ids."""

    folder: Path
    key: str
    classes: Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False)
class PaintItem:
    """A job, where it is written (None for nowhere: its pixels are wanted), and what was read for it: keyword of
    ``paint`` -> what its function returns of the job."""

    job: Job
    destination: Destination | None
    read: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class PaintedLease:
    """What became of a lease: ``paintings`` are written where only attention labels them, and pixels elsewhere.

    ``failed`` are job ids with the reason; ``at_once`` is how many such images the model has room for.
    """

    paintings: list[WrittenPainting | Painting] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blacked_out: BlackedOut = field(default_factory=BlackedOut)
    at_once: int = 1


class PaintWorker:
    """A recipe's model, and jobs for it.

    Args:
        recipe: what the model is set up for.
        device: as for ``load_pipeline``.
        batch_size: images at once; by default what fits the device.
    """

    def __init__(self, recipe: Recipe, device: str | None, batch_size: int | None) -> None:
        from diffucurate.generator.painting.pipeline import painting_pipeline

        self._recipe, self._batch_size = recipe, batch_size
        self._opened = ExitStack()
        self.pipe = self._opened.enter_context(painting_pipeline(recipe, device))

    def facts(self) -> dict[str, Any]:
        """The device and the version of the library."""
        from importlib.metadata import version

        from diffucurate.generator.models.placement import device_of

        return {"device": str(device_of(self.pipe)), "version": version("diffucurate")}

    def at_once(self, job: Job) -> int:
        """How many images like that of a job are painted at once."""
        from diffucurate.generator.painting.painter import images_at_once

        return images_at_once(self.pipe, job, self._batch_size)

    def work(self, items: Sequence[PaintItem]) -> PaintedLease:
        """Paint the jobs of a lease, which can share a batch.

        Raises:
            ModelError: the model cannot be traced, or one image is too much for the memory.
            DatasetError: a file cannot be written.
        """
        from diffucurate.generator.painting.retries import paint_with_retries

        result = PaintedLease()

        def failed(job: Job, error: ImageError) -> None:
            result.failed[job.job_id] = str(error)

        place = items[0].destination
        read = {keyword for item in items for keyword in item.read}
        values = {keyword: {item.job.job_id: item.read.get(keyword) for item in items} for keyword in read}
        paintings = paint_with_retries(
            [item.job for item in items],
            retries=self._recipe.retries,
            count=result.blacked_out,
            on_failure=failed,
            pipe=self.pipe,
            adapted_to=self._recipe.model_options,
            batch_size=self._batch_size,
            look_again=self._recipe.look_again,
            **{keyword: _looked_up(known) for keyword, known in values.items()},
        )
        for painting in paintings:
            result.paintings.append(painting if place is None else _written(painting, place))
        result.at_once = self.at_once(items[0].job)
        return result


def _looked_up(known: Mapping[str, Any]) -> Any:
    return lambda job: known[job.job_id]


def _written(painting: Painting, destination: Destination) -> WrittenPainting:
    if not destination.folder.is_dir():
        raise DatasetError(
            f"the media folder '{destination.folder}' is not on this machine; put it on a file system that all "
            "machines have at the same path, and name it by DIFFUCURATE_MEDIA_DIR"
        )
    stem = f"{painting.job.job_id}-{destination.key}"
    written = write_painting(painting, destination.classes, destination.folder, stem)
    for instance in written.attention.labels.instances:  # worked out here, and kept with the labels
        _ = instance.polygons, instance.box
    return written
