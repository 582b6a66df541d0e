"""Reads init images, and the objects in them, from any dataset.

An ``ImageError`` says in one sentence what cannot be used, so that the caller can leave it out and paint the others.
The last few images are kept, as several jobs start from one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import DatasetError, ImageError, LabelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.painting.init_images import InitPixels, digest, grown
from diffucurate.generator.recipe.augment_config import Augmentation
from diffucurate.generator.recipe.init_image import InitImage, Region
from diffucurate.generator.recipe.init_image_config import Objects
from diffucurate.plugin.store.label_fields import LabelField, label_field
from diffucurate.plugin.store.label_objects import LabelledObject, labels_in, objects_in
from diffucurate.plugin.store.media_files import read_image

#: Images kept in memory: those of a batch.
_KEPT = 8


class StoredImage(NamedTuple):
    """An init image as it was read: its sample, (H, W, 3) uint8 RGB, and the digest of these pixels."""

    sample: fo.Sample
    pixels: NDArray[np.uint8]
    digest: str


class InitImageReader:
    """Reads init images by dataset and sample; called with a job, it returns the job's init image."""

    def __init__(self) -> None:
        #: Label id -> why it is no object of its init image: a clause with file and field.
        self.left_out: dict[str, str] = {}
        self._fields: dict[tuple[str, str], LabelField] = {}
        self._kept: OrderedDict[tuple[str, str], StoredImage] = OrderedDict()

    def __call__(self, job: Job) -> InitPixels:
        """The init image of a job at its own size, checked to be the one that the job was planned with.

        Raises:
            ImageError: the job has none, or image or region were changed since it was planned.
        """
        if job.source is None:
            raise ImageError(f"job {job.job_id} starts from no init image")
        source, region = job.source, job.source.region
        image = self.read(source.dataset, source.sample_id)
        if image.digest != source.digest:
            raise ImageError(f"{image.sample.filepath}: the image was changed since")
        if region is None:
            return InitPixels(image.pixels)
        outline = None
        if region.instance:
            outline = self.object_of(source.dataset, image, region.field, region.instance).mask
            mask = grown(outline, region.margin)
        else:
            mask = self._part(source.dataset, image, region.field, region.label, region.margin)
        if digest(mask) != region.digest:
            changed = f"instance {region.instance} was" if region.instance else f"labels in '{region.field}' were"
            raise ImageError(f"{image.sample.filepath}: {changed} changed since")
        return InitPixels(image.pixels, mask, outline if region.shape == "keep" else None)

    def read(self, dataset: str, sample_id: str) -> StoredImage:
        """A sample's image.

        Raises:
            ImageError: dataset or sample were deleted, or the file is missing or cannot be read.
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
            self._kept[key] = StoredImage(sample, pixels, digest(pixels))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def objects(self, dataset: str, image: StoredImage, field: str) -> list[LabelledObject]:
        """The objects of an init image, of a label source or field; what is none goes to ``left_out``.

        Raises:
            ImageError: a segmentation that cannot be used, or labels that were deleted.
        """
        key = (dataset, field)
        try:
            if key not in self._fields:
                self._fields[key] = label_field(fo.load_dataset(dataset), field)
            path = self._fields[key]
            read = objects_in(image.sample[path.name], (image.pixels.shape[0], image.pixels.shape[1]), path)
        except (ImageError, DatasetError, LabelError) as error:
            raise ImageError(f"{image.sample.filepath}: {error}") from error
        for identifier, reason in read.left_out.items():
            self.left_out[identifier] = f"{image.sample.filepath}, {path.name}: {reason}"
        return read.objects

    def object_of(self, dataset: str, image: StoredImage, field: str, instance: str) -> LabelledObject:
        """The object of that id.

        Raises:
            ImageError: there is none, or it has no pixels.
        """
        for each in self.objects(dataset, image, field):
            if each.id == instance:
                return each
        if instance in self.left_out:
            raise ImageError(self.left_out[instance])
        raise ImageError(f"{image.sample.filepath}: '{field}' has no instance {instance}")

    def source(
        self,
        dataset: str,
        image: StoredImage,
        strength: float,
        region: Region | None = None,
        template: str | None = None,
    ) -> InitImage:
        """The record of an init image in a job."""
        return InitImage(dataset, image.sample.id, image.digest, strength, region, template)

    def region(self, dataset: str, image: StoredImage, objects: Objects, instance: str | None) -> Region:
        """The region to repaint: the object of that id, or the largest that may be replaced, grown by the margin.

        Raises:
            ImageError: there is no such object, or none of them has pixels.
        """
        if instance is not None:
            chosen = self.object_of(dataset, image, objects.field, instance)
        else:
            present = self.objects(dataset, image, objects.field)
            replaceable = [each for each in present if objects.classes is None or each.label in objects.classes]
            if not replaceable:
                path = self._fields[dataset, objects.field]
                for identifier, label in labels_in(image.sample[path.name], path):
                    if identifier in self.left_out and (objects.classes is None or label in objects.classes):
                        raise ImageError(self.left_out[identifier])
                wanted = " or ".join(objects.classes or ["anything"])
                raise ImageError(f"{image.sample.filepath}: '{objects.field}' has no instance of {wanted}")
            chosen = max(replaceable, key=lambda each: int(np.count_nonzero(each.mask)))
        mask = grown(chosen.mask, objects.margin)
        shape = "keep" if objects.shape == "keep" else None
        return Region(objects.field, chosen.id, chosen.label, objects.margin, digest(mask), shape)

    def part_region(self, dataset: str, image: StoredImage, augment: Augmentation) -> Region | None:
        """The region to repaint: all objects, each grown by the margin, or all but these; None for the whole image.

        Raises:
            ImageError: no object has pixels, or they leave no background.
        """
        if augment.part == "image":
            self.objects(dataset, image, augment.field)  # raises before anything is painted
            return None
        mask = self._part(dataset, image, augment.field, augment.part, augment.margin)
        return Region(augment.field, "", augment.part, augment.margin, digest(mask))

    def _part(self, dataset: str, image: StoredImage, field: str, part: str, margin: float) -> NDArray[np.bool_]:
        objects = self.objects(dataset, image, field)
        if not objects:
            raise ImageError(f"{image.sample.filepath}: '{field}' has no instance with pixels")
        mask = np.logical_or.reduce([grown(each.mask, margin) for each in objects])
        if part == "background":
            mask = ~mask
            if not mask.any():
                raise ImageError(f"{image.sample.filepath}: the objects in '{field}' leave no background")
        result: NDArray[np.bool_] = mask
        return result

    def _sample(self, dataset: str, sample_id: str) -> fo.Sample:
        if not fo.dataset_exists(dataset):
            raise ImageError(f"the source dataset '{dataset}' was deleted")
        try:
            return fo.load_dataset(dataset)[sample_id]
        except (KeyError, ValueError) as error:
            raise ImageError(f"dataset '{dataset}' has no sample {sample_id} any more") from error
