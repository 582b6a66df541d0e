"""Writes the files of labels, and returns the values of the fields that refer to them.

New labels always go to new files (``stem`` holds the run's key); the caller removes the old ones, listed by
``media_of``, once the sample is saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.labels.maps.stored_maps import Heatmaps
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.sources.registry import source_of_maps
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import Phrases
from diffucurate.plugin.store.heatmap_image import HEATMAP_RANGE
from diffucurate.plugin.store.label_values import label_fields
from diffucurate.plugin.store.painted_files import (
    AttentionFiles,
    HeatmapFiles,
    write_attention,
    write_heatmaps,
    write_mask,
)

if TYPE_CHECKING:
    from diffucurate.generator.painting.painter import Painting


def store_heatmaps(
    heatmaps: Heatmaps, shape: tuple[int, int], folder: Path, stem: str, model: str | None = None
) -> dict[str, Any]:
    """Write raw maps ((h, w), >= 0), with the model that made them, and one image of each at the image's (height,
    width) ``shape``."""
    return heatmap_fields(write_heatmaps(heatmaps, shape, folder, stem, model))


def heatmap_fields(files: HeatmapFiles) -> dict[str, Any]:
    """The values of the fields of heatmaps that were written."""
    shown = {field: fo.Heatmap(map_path=path, range=list(HEATMAP_RANGE)) for field, path in files.images.items()}
    return {field_names.ATTENTION_MAPS: files.maps, **shown}


def store_labels(source: str, labels: Labels, folder: Path, stem: str) -> dict[str, Any]:
    """Write the semantic mask, and return the values of the source's fields."""
    return label_fields(source, labels, write_mask(source, labels, folder, stem))


def attention_fields(painting: Painting, classes: Phrases, folder: Path, stem: str) -> dict[str, Any]:
    """Make labels of a painting from its attention maps, store both, and return their fields' values.

    ``classes`` are all of the dataset's with their phrases, in the order of their ids.
    """
    return values_of(write_attention(painting, classes, folder, stem))


def values_of(attention: AttentionFiles) -> dict[str, Any]:
    """The values of the fields of attention labels that were written."""
    labels = label_fields(source_of_maps().name, attention.labels, attention.mask)
    return heatmap_fields(attention.heatmaps) | labels


def media_of(sample: fo.Sample, names: Iterable[str]) -> list[str]:
    """The files that those fields of a sample name."""
    found = []
    for name in names:
        value = sample[name]
        found.append(value if isinstance(value, str) else getattr(value, "mask_path", getattr(value, "map_path", None)))
    return [path for path in found if path]
