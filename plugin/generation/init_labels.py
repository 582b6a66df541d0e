"""Labels of images that start from init images: from the new attention, and from the init image's own labels.

For img2img, source ``attention`` labels the whole image, and ``carried`` holds the init image's own instances at the
image's size; augmented images have these labels as they are, in their own field. For inpaint, ``attention`` holds what
was found in the region, which can be labelled again from the stored maps, and ``inpainted`` holds that and all other
instances of the init image; where an outline is kept, that outline with the new class instead. For mask2img,
``layout`` holds the instances of the mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import ImageError
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.maps.stored_maps import as_stored
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.painting.init_images import covered, within
from diffucurate.generator.recipe.layout import LayoutSource
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.generation.carried_labels import carried_over
from diffucurate.plugin.generation.init_reader import InitImageReader
from diffucurate.plugin.generation.init_sources import CARRIED, INPAINTED, LAYOUT
from diffucurate.plugin.generation.layout_reader import LayoutReader
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import Phrases
from diffucurate.plugin.store.label_fields import label_field
from diffucurate.plugin.store.label_files import attention_fields, store_heatmaps, store_labels
from diffucurate.plugin.store.label_objects import LabelledObject

if TYPE_CHECKING:
    from diffucurate.generator.painting.painter import Painting

#: An instance of which the region leaves less than this share is painted over.
_LEAST_LEFT = 0.1


class InitLabels:
    """Makes and stores the labels of a painting; called by what writes its sample."""

    def __init__(self, recipe: Recipe, reader: InitImageReader, layouts: LayoutReader) -> None:
        self._recipe, self._reader, self._layouts = recipe, reader, layouts

    def __call__(self, painting: Painting, classes: Phrases, folder: Path, stem: str) -> dict[str, Any]:
        """The values of the label sources' fields.

        Raises:
            ImageError: the init image's own labels were changed or deleted.
        """
        if painting.region is not None and self._recipe.augment is None:
            return self._inpainted(painting, painting.region, classes, folder, stem)
        values = attention_fields(painting, classes, folder, stem)
        if self._recipe.augment is not None:
            return values | self._kept(painting, self._recipe.augment.field, folder, stem)
        if painting.job.layout is not None:
            values |= store_labels(LAYOUT, self._of_mask(painting, painting.job.layout, classes), folder, stem)
        if self._recipe.carry is not None:
            kept = instances_at(self._own_objects(painting, self._recipe.carry), painting.job.size)
            labels = Labels.from_instances(kept, tuple(classes), _shape(painting))
            values |= store_labels(CARRIED, labels, folder, stem)
        return values

    def _inpainted(
        self, painting: Painting, region: NDArray[np.bool_], classes: Phrases, folder: Path, stem: str
    ) -> dict[str, Any]:
        source, shape = painting.job.source, _shape(painting)
        if source is None or source.region is None:
            raise ImageError(f"job {painting.job.job_id} has no region")
        maps = as_stored({name: within(heat, region) for name, heat in painting.heatmaps.items()})
        instances = labels_from_maps(maps, painting.image, classes, painting.job.prompt).instances
        cut = [Instance(each.label, each.mask & region, each.confidence) for each in instances]
        new = [instance for instance in cut if instance.mask.any()]
        attention = Labels.from_instances(new, tuple(classes), shape)
        values = store_heatmaps(maps, shape, folder, stem, painting.job.model)
        values |= store_labels("attention", attention, folder, stem)
        objects = self._own_objects(painting, source.region.field)
        others = [each for each in objects if each.id != source.region.instance]
        if source.region.shape == "keep":
            old = next(each for each in objects if each.id == source.region.instance)
            new = [_renamed(covered(old.mask, painting.job.size), next(iter(painting.job.phrases)), new)]
        whole = Labels.from_instances([*instances_at(others, painting.job.size, region), *new], tuple(classes), shape)
        return values | store_labels(INPAINTED, whole, folder, stem)

    def _kept(self, painting: Painting, field: str, folder: Path, stem: str) -> dict[str, Any]:
        """The init image's own labels and tags, as they are."""
        source = painting.job.source
        if source is None:
            raise ImageError(f"job {painting.job.job_id} starts from no init image")
        sample = self._reader.read(source.dataset, source.sample_id).sample
        name = label_field(fo.load_dataset(source.dataset), field).name
        tags = [tag for tag in sample.tags if tag != field_names.UNCONFIRMED]
        return {
            name: carried_over(sample[name], name, painting.job.size, folder, stem),
            "tags": [*tags, field_names.AUGMENTED],
        }

    def _of_mask(self, painting: Painting, layout: LayoutSource, classes: Phrases) -> Labels:
        """The instances of the mask whose classes the prompt names, at the image's size."""
        sample = self._layouts.sample(layout.dataset, layout.sample_id)
        objects = self._layouts.objects(layout.dataset, sample, layout.field)
        kept = instances_at([each for each in objects if each.label in painting.job.phrases], painting.job.size)
        return Labels.from_instances(kept, tuple(classes), _shape(painting))

    def _own_objects(self, painting: Painting, field: str) -> list[LabelledObject]:
        source = painting.job.source
        if source is None:
            raise ImageError(f"job {painting.job.job_id} starts from no init image")
        return self._reader.objects(source.dataset, self._reader.read(source.dataset, source.sample_id), field)


def _renamed(outline: NDArray[np.bool_], label: str, found: Sequence[Instance]) -> Instance:
    """An object that became another in its outline, as confident as the best IoU of that with what attention found."""
    ious = [
        np.count_nonzero(each.mask & outline) / np.count_nonzero(each.mask | outline)
        for each in found
        if each.label == label
    ]
    return Instance(label, outline, float(max(ious, default=0.0)))


def instances_at(
    objects: Sequence[LabelledObject], size: tuple[int, int], without: NDArray[np.bool_] | None = None
) -> list[Instance]:
    """Objects as instances of an image of (width, height) ``size``.

    ``without`` is the region that was painted over, (H, W) bool: it is cut out of all of them.
    """
    instances = []
    for each in objects:
        mask = covered(each.mask, size)
        left = mask if without is None else mask & ~without
        if left.any() and np.count_nonzero(left) >= _LEAST_LEFT * np.count_nonzero(mask):
            instances.append(Instance(each.label, left, 1.0 if each.confidence is None else each.confidence))
    return instances


def _shape(painting: Painting) -> tuple[int, int]:
    return painting.image.shape[0], painting.image.shape[1]
