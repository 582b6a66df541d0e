"""Reads the pictures that images are painted from, and the objects in them, from any dataset.

Whatever cannot be used is named in one sentence (``ImageError``), so that the others can go on. The last few
pictures are kept, as several jobs start from one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import DatasetError, ImageError, LabelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.painting.init_images import Picture, digest, grown
from diffucurate.generator.recipe.init_image import InitImage, Region
from diffucurate.generator.recipe.init_image_config import Objects
from diffucurate.plugin.store.label_fields import LabelField, label_field
from diffucurate.plugin.store.label_objects import LabelledObject, objects_in
from diffucurate.plugin.store.media_files import read_image

#: Pictures kept in memory: those of a batch.
_KEPT = 8


class Read(NamedTuple):
    """A picture as it was read: its sample, (H, W, 3) uint8 RGB, and the digest of these pixels."""

    sample: fo.Sample
    pixels: NDArray[np.uint8]
    digest: str


class InitImageReader:
    """Gives pictures by dataset and sample; called with a job, what that starts from."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, str], LabelField] = {}
        self._kept: OrderedDict[tuple[str, str], Read] = OrderedDict()

    def __call__(self, job: Job) -> Picture:
        """The picture of a job at its own size, just as it was when the job was made.

        Raises:
            PictureError: job or picture have none, or one that was changed since.
        """
        if job.source is None:
            raise ImageError(f"job {job.job_id} starts from no picture")
        source, region = job.source, job.source.region
        found = self.read(source.dataset, source.sample_id)
        if found.digest != source.digest:
            raise ImageError(f"{found.sample.filepath}: the image was changed since")
        if region is None:
            return Picture(found.pixels)
        thing = self.thing(source.dataset, found, region.field, region.instance)
        mask = grown(thing.mask, region.margin)
        if digest(mask) != region.digest:
            raise ImageError(f"{found.sample.filepath}: instance {region.instance} was changed since")
        return Picture(found.pixels, mask)

    def read(self, dataset: str, sample_id: str) -> Read:
        """A sample's image.

        Raises:
            PictureError: dataset or sample were deleted, or the file is missing or cannot be read.
        """
        key = (dataset, sample_id)
        if key not in self._kept:
            sample = self._sample(dataset, sample_id)
            try:
                pixels = read_image(sample.filepath)
            except FileNotFoundError as error:
                raise ImageError(f"{sample.filepath}: the file is missing") from error
            except OSError as error:
                raise ImageError(f"{sample.filepath}: the file is broken or not an image") from error
            self._kept[key] = Read(sample, pixels, digest(pixels))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def things(self, dataset: str, found: Read, field: str) -> list[LabelledObject]:
        """The objects of a picture, of a label source or field.

        Raises:
            PictureError: masks that cannot be used, or labels that are gone.
        """
        key = (dataset, field)
        try:
            if key not in self._fields:
                self._fields[key] = label_field(fo.load_dataset(dataset), field)
            path = self._fields[key]
            return objects_in(found.sample[path.name], (found.pixels.shape[0], found.pixels.shape[1]), path)
        except (ImageError, DatasetError, LabelError) as error:
            raise ImageError(f"{found.sample.filepath}: {error}") from error

    def thing(self, dataset: str, found: Read, field: str, instance: str) -> LabelledObject:
        """The object of that id.

        Raises:
            PictureError: there is none, or its mask is empty.
        """
        for thing in self.things(dataset, found, field):
            if thing.id == instance:
                if not thing.mask.any():
                    raise ImageError(f"{found.sample.filepath}: the mask of instance {instance} is empty")
                return thing
        raise ImageError(f"{found.sample.filepath}: '{field}' has no instance {instance}")

    def source(
        self, dataset: str, found: Read, strength: float, region: Region | None = None, template: str | None = None
    ) -> InitImage:
        """What a job says of a picture that was read."""
        return InitImage(dataset, found.sample.id, found.digest, strength, region, template)

    def region(self, dataset: str, found: Read, objects: Objects, instance: str | None) -> Region:
        """What is painted anew: the object of that id, or the largest that counts, grown.

        Raises:
            PictureError: there is no such object, or its mask is empty.
        """
        if instance is not None:
            thing = self.thing(dataset, found, objects.field, instance)
        else:
            things = self.things(dataset, found, objects.field)
            counted = [one for one in things if objects.classes is None or one.label in objects.classes]
            if not counted:
                wanted = " or ".join(objects.classes or ["anything"])
                raise ImageError(f"{found.sample.filepath}: '{objects.field}' has no instance of {wanted}")
            thing = max(counted, key=lambda one: int(np.count_nonzero(one.mask)))
            if not thing.mask.any():
                raise ImageError(f"{found.sample.filepath}: the mask of instance {thing.id} is empty")
        mask = grown(thing.mask, objects.margin)
        return Region(objects.field, thing.id, thing.label, objects.margin, digest(mask))

    def _sample(self, dataset: str, sample_id: str) -> fo.Sample:
        if not fo.dataset_exists(dataset):
            raise ImageError(f"the source dataset '{dataset}' was deleted")
        try:
            return fo.load_dataset(dataset)[sample_id]
        except (KeyError, ValueError) as error:
            raise ImageError(f"dataset '{dataset}' has no sample {sample_id} any more") from error
