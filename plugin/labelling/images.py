"""The images of samples, with what their samples say of them, as label sources take them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.stored_maps import Heatmaps
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.plugin.cluster.label_worker import LabelItem
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.media_files import StoredMaps, read_image, read_stored_maps
from diffucurate.plugin.store.samples import prompt_of


@dataclass(frozen=True)
class SampleImage:
    """A sample and its image, (H, W, 3) uint8 RGB; follows the ``ImageToLabel`` protocol."""

    sample: fo.Sample
    pixels: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def prompt(self) -> str | None:
        return prompt_of(self.sample)

    def kept_maps(self) -> Heatmaps | None:
        return None if self._stored is None else self._stored.maps

    def maps_model(self) -> str | None:
        if self._stored is None or self._stored.model is not None:
            return None if self._stored is None else self._stored.model
        return _painter_of(self.sample, maps_path(self.sample))

    @cached_property
    def _stored(self) -> StoredMaps | None:
        path = maps_path(self.sample)
        try:
            return None if path is None else read_stored_maps(path)
        except OSError:
            return None


def item_of(sample: fo.Sample) -> LabelItem:
    """An image as an actor takes it, that has no database."""
    maps = maps_path(sample)
    painter, repeatable = _painter_of(sample, maps), _painted_by(sample, BUILT_IN)
    return LabelItem(sample.id, sample.filepath, prompt_of(sample), maps, painter, repeatable)


def _painter_of(sample: fo.Sample, maps: str | None) -> str | None:
    """The model that made a file of class maps: those of earlier versions do not say it, but painted images' files bear
    the job's id."""
    job, painter = (_text(sample, name) for name in (field_names.JOB_ID, field_names.MODEL))
    return painter if job and maps is not None and os.path.basename(maps).startswith(job) else None


def maps_path(sample: fo.Sample) -> str | None:
    """The file of the class maps that a sample keeps; None where it names none, or one that is gone."""
    path = _text(sample, field_names.ATTENTION_MAPS)
    return None if path is None else found_maps(path, sample.filepath)


def found_maps(path: str, image: str) -> str | None:
    """The file of class maps that a sample names, or the one that lies as it did beside an image that was moved."""
    moved = os.path.join(os.path.dirname(os.path.dirname(image)), "maps", os.path.basename(path))
    return next((each for each in (path, moved) if os.path.isfile(each)), None)


class Unasked(NamedTuple):
    """The images that a model would look at although it did not paint them: ``lost`` were painted, and have lost the
    class maps that are kept then; ``foreign`` are all others."""

    lost: list[str]
    foreign: list[str]


def unasked(samples: fo.Dataset | fo.DatasetView, model: str, *, kept_suffice: bool = True) -> Unasked:
    """The images that ``model`` would look at although it did not paint them.

    Args:
        model: its name, as recipes have it.
        kept_suffice: whether it looks only at images whose class maps are gone, or at all of them.
    """
    fields = (field_names.ATTENTION_MAPS, field_names.JOB_ID, field_names.MODEL)
    known = [name for name in fields if samples.has_sample_field(name)]
    columns = dict(zip(["filepath", *known], samples.values(["filepath", *known]), strict=True))
    nothing: list[str | None] = [None] * len(columns["filepath"])
    found = Unasked([], [])
    for image, maps, job, painter in zip(
        columns["filepath"], *(columns.get(name, nothing) for name in fields), strict=True
    ):
        if job is not None and painter == model and (maps is None or not kept_suffice):
            continue
        if maps is None or not kept_suffice:
            (found.foreign if job is None or not kept_suffice else found.lost).append(image)
        elif found_maps(str(maps), image) is None:
            found.lost.append(image)
    return found


def read_images(samples: fo.DatasetView, *, with_maps: bool = False) -> tuple[list[SampleImage], list[str]]:
    """The samples with their pixels, and what cannot be read: the paths of images and why where it is not they.

    ``with_maps`` leaves out images whose kept class maps cannot be read, unless the built-in model painted them, which
    can then look at them again.
    """
    images, unreadable = [], []
    for sample in samples:
        try:
            image = SampleImage(sample, read_image(sample.filepath))
        except OSError:
            unreadable.append(sample.filepath)
            continue
        if with_maps and image.kept_maps() is None and not _painted_by(sample, BUILT_IN):
            unreadable.append(f"{sample.filepath}: its heatmaps in '{_text(sample, field_names.ATTENTION_MAPS)}'")
        else:
            images.append(image)
    return images, unreadable


def _painted_by(sample: fo.Sample, model: str) -> bool:
    return _text(sample, field_names.JOB_ID) is not None and _text(sample, field_names.MODEL) == model


def _text(sample: fo.Sample, name: str) -> str | None:
    """The text in a field of a sample; None where it has no such field, or anything but a text in it."""
    value = sample[name] if sample.has_field(name) else None
    return value if isinstance(value, str) else None
