"""The images of a view as vectors, and what is measured of each: simple features, or embeddings that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.progress import Meter
from diffucurate.generator.reporting.image_measures import FEATURES, compression_ratio, feature_vector, glcm_contrast
from diffucurate.plugin.curation.duplicates import stored_vectors
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import dataset_of

Vectors = NDArray[np.floating[Any]]

#: Images that are read at most; of more, every n-th is.
MOST_IMAGES = 1000


@dataclass(frozen=True)
class ImageSet:
    """What was read of a view's images.

    ``vectors`` are (n, d), of what ``features`` names in words. ``contrasts`` and ``ratios`` have a value for each of
    the images that were read, which are ``total`` or, where those are too many, some of them.
    """

    total: int
    features: str
    vectors: Vectors
    contrasts: NDArray[np.float64]
    ratios: NDArray[np.float64]

    @property
    def sampled(self) -> str:
        """How many images were read, in words."""
        count = len(self.contrasts)
        return f"{count:,} images" if count == self.total else f"{count:,} of {self.total:,} images, evenly spread"


def evenly_spread(ids: Sequence[str], most: int) -> list[str]:
    """``most`` of the ids at equal distances, or all of them."""
    step = max(len(ids) / most, 1)
    return [ids[int(index * step)] for index in range(min(most, len(ids)))]


def read_images(samples: fo.Dataset | fo.DatasetView, embeddings: str | Vectors | None, meter: Meter) -> ImageSet:
    """Measure the images of a view; files that cannot be read are left out.

    Args:
        samples: the view.
        embeddings: a field of vectors or a similarity run of its dataset, or an (n, d) array with a row per sample, in
            the view's order; the simple features where None.
        meter: advanced with each image.

    Raises:
        InvalidSetting: no such embeddings, or an array of another length than the view.
    """
    ids = samples.values("id")
    vectors, features = _embeddings(samples, ids, embeddings)
    chosen = evenly_spread(ids, MOST_IMAGES)
    paths = dict(zip(ids, samples.values("filepath"), strict=True))
    simple, contrasts, ratios = [], [], []
    for sample_id in chosen:
        try:
            pixels = read_image(paths[sample_id])
        except OSError:
            meter.advance(note=f"left out {paths[sample_id]}: it cannot be read")
            continue
        if vectors is None:
            simple.append(feature_vector(pixels))
        contrasts.append(glcm_contrast(pixels))
        ratios.append(compression_ratio(pixels))
        meter.advance()
    if vectors is None:
        vectors = np.stack(simple) if simple else np.empty((0, 0), np.float32)
    return ImageSet(len(ids), features, vectors, np.array(contrasts), np.array(ratios))


def _embeddings(
    samples: fo.Dataset | fo.DatasetView, ids: Sequence[str], embeddings: str | Vectors | None
) -> tuple[Vectors | None, str]:
    """The vectors of those images that are measured, None for simple features, and what they are, in words."""
    if embeddings is None:
        return None, FEATURES
    if isinstance(embeddings, str):
        known = stored_vectors(dataset_of(samples), evenly_spread(ids, MOST_IMAGES), embeddings)
        return np.asarray(known.values), f"embeddings of '{embeddings}'"
    array = np.asarray(embeddings)
    if array.ndim != 2 or len(array) != len(ids):
        raise InvalidSetting(
            "embeddings", f"an array of shape {array.shape}", f"give a row for each of the {len(ids)} samples"
        )
    rows = {sample_id: row for row, sample_id in enumerate(ids)}
    return array[[rows[sample_id] for sample_id in evenly_spread(ids, MOST_IMAGES)]], "the given embeddings"
