"""The disk space that an export will take, from sizes that the database holds. Reads no image.

Labels that are no Detections yet become such, as when they are exported.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo

from diffucurate.plugin.exporting.formats import format_named
from diffucurate.plugin.exporting.records import labelled_samples
from diffucurate.plugin.exporting.target import existing_parent
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.samples import dataset_of

#: Where no sample says how wide its image is.
_USUAL_WIDTH = 512
#: Files looked at where no sample says how large its image is.
_FILES_MEASURED = 20


@dataclass(frozen=True)
class ExportSize:
    """What an export is expected to hold and to take, in bytes.

    ``total_bytes`` counts everything in the folder, ``needed_bytes`` the space that the disk must have: less, where
    images are to be links and lie on the same disk. ``free_bytes`` is what it has.
    """

    images: int
    instances: int
    total_bytes: int
    needed_bytes: int
    free_bytes: int

    @property
    def fits(self) -> bool:
        """Whether the disk has room for it."""
        return self.needed_bytes <= self.free_bytes


def estimate_size(
    samples: fo.Dataset | fo.DatasetView,
    folder: str | os.PathLike[str],
    *,
    format: str,
    source: str,
    classes: Sequence[str] | None = None,
    link_images: bool = False,
) -> ExportSize:
    """Estimate the size of ``export`` with the same arguments.

    Image sizes come from the samples' metadata, or else from a few of the files.

    Raises:
        DatasetError: no samples, or no labels of ``source``.
        InvalidSetting: an unknown format, or a class that the dataset does not have.
    """
    dataset = dataset_of(samples)
    field = detections_field(samples, dataset, source)
    labelled = labelled_samples(samples, field, classes)
    size, width, instances, images = labelled.aggregate(
        [
            fo.Mean("metadata.size_bytes"),
            fo.Mean("metadata.width"),
            fo.Count(f"{field}.detections"),
            fo.Count(),
        ]
    )
    paths = labelled.limit(_FILES_MEASURED).values("filepath")
    described, wide = format_named(format), width or _USUAL_WIDTH
    per_image, per_instance = (
        always + per_pixel * wide for always, per_pixel in (described.per_image, described.per_instance)
    )
    labels = described.fixed + images * per_image + instances * per_instance
    pixels = images * (size if size is not None else _mean_size(paths))
    disk = existing_parent(Path(folder).expanduser().absolute())
    linked = link_images and not described.embeds and _same_disk(paths, disk)
    needed = labels if linked else labels + pixels
    return ExportSize(images, instances, round(labels + pixels), round(needed), shutil.disk_usage(disk).free)


def _mean_size(paths: Sequence[str]) -> float:
    sizes = [os.path.getsize(path) for path in paths if os.path.isfile(path)]
    return sum(sizes) / len(sizes) if sizes else 0.0


def _same_disk(paths: Sequence[str], folder: Path) -> bool:
    """Whether images can be linked into ``folder`` instead of copied."""
    there = next((path for path in paths if os.path.isfile(path)), None)
    return there is not None and os.stat(there).st_dev == os.stat(folder).st_dev
