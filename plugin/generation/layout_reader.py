"""Reads the masks that images are painted by, from the labels of any dataset.

An ``ImageError`` says in one sentence what cannot be used, so that the caller can leave it out and paint the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.errors import DatasetError, ImageError, LabelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.painting.init_images import covered, digest
from diffucurate.plugin.store.label_fields import LabelField, label_field
from diffucurate.plugin.store.label_objects import LabelledObject, objects_in


class LayoutReader:
    """Reads masks by dataset, sample and field; called with a job, it returns the job's mask."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, str], LabelField] = {}

    def __call__(self, job: Job) -> Layout:
        """The mask of a job at the job's size, checked to be the one that the job was planned with.

        Raises:
            ImageError: the job has none, or the labels were changed since it was planned.
        """
        if job.layout is None:
            raise ImageError(f"job {job.job_id} is painted by no mask")
        sample = self.sample(job.layout.dataset, job.layout.sample_id)
        layout = layout_of(self.objects(job.layout.dataset, sample, job.layout.field), tuple(job.phrases), job.size)
        if digest_of(layout) != job.layout.digest:
            raise ImageError(f"{sample.filepath}: the labels in '{job.layout.field}' were changed since")
        return layout

    def sample(self, dataset: str, sample_id: str) -> fo.Sample:
        """A sample.

        Raises:
            ImageError: dataset or sample were deleted.
        """
        if not fo.dataset_exists(dataset):
            raise ImageError(f"the source dataset '{dataset}' was deleted")
        try:
            return fo.load_dataset(dataset)[sample_id]
        except (KeyError, ValueError) as error:
            raise ImageError(f"dataset '{dataset}' has no sample {sample_id} any more") from error

    def objects(self, dataset: str, sample: fo.Sample, field: str) -> list[LabelledObject]:
        """The objects of a sample, at the size of its image.

        Raises:
            ImageError: the field was deleted, or cannot be read.
        """
        key = (dataset, field)
        try:
            if key not in self._fields:
                self._fields[key] = label_field(fo.load_dataset(dataset), field)
            path = self._fields[key]
            width, height = size_of(sample)
            return objects_in(sample[path.name], (height, width), path).objects
        except (ImageError, DatasetError, LabelError) as error:
            raise ImageError(f"{sample.filepath}: {error}") from error


def size_of(sample: fo.Sample) -> tuple[int, int]:
    """(width, height) of a sample's image in pixels.

    Raises:
        ImageError: neither its metadata nor its file say.
    """
    if sample.metadata is not None and sample.metadata.width and sample.metadata.height:
        return int(sample.metadata.width), int(sample.metadata.height)
    try:
        with Image.open(sample.filepath) as image:
            return image.size
    except FileNotFoundError as error:
        raise ImageError("the file is missing, so its size is not known") from error
    except OSError as error:
        raise ImageError("the file is broken or not an image, so its size is not known") from error


def layout_of(objects: Sequence[LabelledObject], classes: tuple[str, ...], size: tuple[int, int]) -> Layout:
    """The mask of objects at (width, height) ``size``; where objects overlap the smaller is in front.

    Raises:
        ImageError: none of them is of these classes.
    """
    ids = np.zeros(size[::-1], np.uint8)
    kept = [each for each in objects if each.label in classes]
    for each in sorted(kept, key=lambda each: -int(np.count_nonzero(each.mask))):
        ids[_at(each.mask, size)] = 1 + classes.index(each.label)
    return Layout(ids, classes)


def digest_of(layout: Layout) -> str:
    """16 hex digits over the classes and their pixels; a class without pixels, and the order of them, do not count."""
    parts = [(label, digest(layout.ids == 1 + layout.classes.index(label))) for label in sorted(layout.present)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _at(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    return mask if mask.shape == size[::-1] else covered(mask, size)
