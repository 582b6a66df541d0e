"""Labels of images that were painted from pictures: from the new attention, and from the picture's own labels.

Of img2img, ``attention`` labels the whole image and ``carried`` holds the picture's own instances at the image's
size. Of inpaint, ``attention`` says what it found in the region, so that it can be labelled anew from the kept maps
as ever, and ``inpainted`` is the whole truth: what attention found there, and all others as the picture has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import ImageError
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.painting.init_images import covered, within
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.generation.init_reader import InitImageReader
from diffucurate.plugin.store.classes import Phrases
from diffucurate.plugin.store.label_files import as_stored, attention_fields, store_heatmaps, store_labels
from diffucurate.plugin.store.label_objects import LabelledObject

if TYPE_CHECKING:
    from diffucurate.generator.painting.painter import Painting

CARRIED, INPAINTED = "carried", "inpainted"

#: An instance of which the region leaves less than this share is painted over.
_LEAST_LEFT = 0.1


def label_sources(recipe: Recipe) -> tuple[str, ...]:
    """The label sources that the images of a recipe have besides ``attention``."""
    return ((CARRIED,) if recipe.carry is not None else ()) + ((INPAINTED,) if recipe.objects is not None else ())


def own_labels(recipe: Recipe) -> str | None:
    """The label source or field of the pictures whose instances are kept, if any."""
    return recipe.carry if recipe.objects is None else recipe.objects.field


class InitLabels:
    """Makes and stores the labels of a painting; called by what writes its sample."""

    def __init__(self, recipe: Recipe, reader: InitImageReader) -> None:
        self._recipe, self._reader = recipe, reader

    def __call__(self, painting: Painting, classes: Phrases, folder: Path, stem: str) -> dict[str, Any]:
        """The values of the label sources' fields.

        Raises:
            PictureError: the picture's own labels cannot be had any more.
        """
        if painting.region is not None:
            return self._inpainted(painting, painting.region, classes, folder, stem)
        values = attention_fields(painting, classes, folder, stem)
        if self._recipe.carry is not None:
            kept = instances_at(self._things(painting, self._recipe.carry), painting.job.size)
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
        found = labels_from_maps(maps, painting.image, classes, painting.job.prompt).instances
        new = [Instance(one.label, one.mask & region, one.confidence) for one in found if (one.mask & region).any()]
        attention = Labels.from_instances(new, tuple(classes), shape)
        values = store_heatmaps(maps, shape, folder, stem) | store_labels("attention", attention, folder, stem)
        others = [one for one in self._things(painting, source.region.field) if one.id != source.region.instance]
        whole = Labels.from_instances([*instances_at(others, painting.job.size, region), *new], tuple(classes), shape)
        return values | store_labels(INPAINTED, whole, folder, stem)

    def _things(self, painting: Painting, field: str) -> list[LabelledObject]:
        source = painting.job.source
        if source is None:
            raise ImageError(f"job {painting.job.job_id} starts from no picture")
        return self._reader.things(source.dataset, self._reader.read(source.dataset, source.sample_id), field)


def instances_at(
    things: Sequence[LabelledObject], size: tuple[int, int], without: NDArray[np.bool_] | None = None
) -> list[Instance]:
    """Objects as instances of an image of (width, height) ``size``, empty ones left out.

    ``without`` is what was painted over, (H, W) bool: it belongs to none of them any more.
    """
    made = []
    for thing in things:
        if not thing.label or not thing.mask.any():
            continue
        mask = covered(thing.mask, size)
        left = mask if without is None else mask & ~without
        if left.any() and np.count_nonzero(left) >= _LEAST_LEFT * np.count_nonzero(mask):
            confidence = 1.0 if thing.confidence is None else min(max(thing.confidence, 0.0), 1.0)
            made.append(Instance(thing.label, left, confidence))
    return made


def _shape(painting: Painting) -> tuple[int, int]:
    return painting.image.shape[0], painting.image.shape[1]
