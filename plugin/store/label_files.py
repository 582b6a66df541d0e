"""Writes the files of labels, and returns the values of the fields that refer to them.

New labels always go to new files (``stem`` holds the run's key); the caller removes the old ones, listed by
``media_of``, once the sample is saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.labels.maps.stored_maps import Heatmaps, as_stored
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.sources.registry import source_of_maps
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import Phrases
from diffucurate.plugin.store.label_values import HEATMAP_RANGE, heatmap_pixels, label_fields
from diffucurate.plugin.store.media_files import write_maps, write_png

if TYPE_CHECKING:
    from diffucurate.generator.painting.painter import Painting


def store_heatmaps(
    heatmaps: Heatmaps, shape: tuple[int, int], folder: Path, stem: str, model: str | None = None
) -> dict[str, Any]:
    """Write raw maps ((h, w), >= 0), with the model that made them, and one image of each at the image's (height,
    width) ``shape``."""
    from diffucurate.generator.labels.from_heatmaps import normalised_heatmaps
    from diffucurate.generator.labels.maps.canvas_maps import whole_maps

    maps = write_maps(folder / "maps" / f"{stem}.safetensors", heatmaps, model)
    values: dict[str, Any] = {field_names.ATTENTION_MAPS: str(maps)}
    for name, heatmap in normalised_heatmaps(whole_maps(heatmaps), shape).items():
        field = field_names.heatmap(name)
        path = write_png(folder / field / f"{stem}.png", heatmap_pixels(heatmap))
        values[field] = fo.Heatmap(map_path=str(path), range=list(HEATMAP_RANGE))
    return values


def store_labels(source: str, labels: Labels, folder: Path, stem: str) -> dict[str, Any]:
    """Write the semantic mask, and return the values of the source's fields."""
    mask = write_png(folder / field_names.mask(source) / f"{stem}.png", labels.semantic)
    return label_fields(source, labels, str(mask))


def attention_fields(painting: Painting, classes: Phrases, folder: Path, stem: str) -> dict[str, Any]:
    """Make labels of a painting from its attention maps, store both, and return their fields' values.

    ``classes`` are all of the dataset's with their phrases, in the order of their ids.
    """
    from diffucurate.generator.labels.from_maps import labels_from_maps

    stored = as_stored(painting.heatmaps)
    labels = labels_from_maps(stored, painting.image, classes, painting.job.prompt)
    heatmaps = store_heatmaps(stored, labels.semantic.shape, folder, stem, painting.job.model)
    return heatmaps | store_labels(source_of_maps().name, labels, folder, stem)


def media_of(sample: fo.Sample, names: Iterable[str]) -> list[str]:
    """The files that those fields of a sample name."""
    found = []
    for name in names:
        value = sample[name]
        found.append(value if isinstance(value, str) else getattr(value, "mask_path", getattr(value, "map_path", None)))
    return [path for path in found if path]
