"""The images of samples, with what their samples say of them, as label sources take them."""

from __future__ import annotations

import os
from typing import NamedTuple

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.stored_maps import Heatmaps
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.media_files import read_image, read_maps
from diffucurate.plugin.store.samples import prompt_of


class SampleImage(NamedTuple):
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
        path = maps_path(self.sample)
        return None if path is None else read_maps(path)


def maps_path(sample: fo.Sample) -> str | None:
    """The file of the class maps that a sample keeps; None where it names none, or one that is gone."""
    path = sample[field_names.ATTENTION_MAPS] if sample.has_field(field_names.ATTENTION_MAPS) else None
    return None if path is None else found_maps(path, sample.filepath)


def found_maps(path: str, image: str) -> str | None:
    """The file of class maps that a sample names, or the one that lies as it did beside an image that was moved."""
    moved = os.path.join(os.path.dirname(os.path.dirname(image)), "maps", os.path.basename(path))
    return next((each for each in (path, moved) if os.path.isfile(each)), None)


def without_their_maps(samples: fo.Dataset | fo.DatasetView, model: str) -> list[str]:
    """The images whose class maps were kept and are gone, and those that another model than ``model`` painted and that
    keep none."""
    fields = [field_names.ATTENTION_MAPS, field_names.JOB_ID, field_names.MODEL]
    if not all(samples.has_sample_field(name) for name in fields[:1]):
        return []
    known = [name for name in fields if samples.has_sample_field(name)]
    columns = dict(zip(["filepath", *known], samples.values(["filepath", *known]), strict=True))
    nothing: list[str | None] = [None] * len(columns["filepath"])
    rows = zip(columns["filepath"], *(columns.get(name, nothing) for name in fields), strict=True)
    gone = []
    for image, maps, job, painter in rows:
        if maps is None and (job is None or painter == model):
            continue
        if maps is None or found_maps(maps, image) is None:
            gone.append(image)
    return gone


def read_images(samples: fo.DatasetView) -> tuple[list[SampleImage], list[str]]:
    """The samples with their pixels, and the paths of images that cannot be read."""
    images, unreadable = [], []
    for sample in samples:
        try:
            images.append(SampleImage(sample, read_image(sample.filepath)))
        except OSError:
            unreadable.append(sample.filepath)
    return images, unreadable
