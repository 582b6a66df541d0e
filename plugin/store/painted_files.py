"""The files of a painted image and of its attention labels: written where it is painted, which may be a machine without
a database.

Knows nothing of FiftyOne: ``plugin.store.label_files`` turns what was written into the values of fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from diffucurate.generator.labels.maps.stored_maps import Heatmaps, as_stored
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.sources.registry import source_of_maps
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.heatmap_image import heatmap_pixels
from diffucurate.plugin.store.media_files import write_maps, write_png

if TYPE_CHECKING:
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.painting.conditions import Conditions
    from diffucurate.generator.painting.painter import Painting


class HeatmapFiles(NamedTuple):
    """``maps`` is the file of raw class maps, ``images`` maps the field of each class's heatmap to its file."""

    maps: str
    images: dict[str, str]


class ImageFile(NamedTuple):
    """A PNG that was written: its path, its bytes, its (width, height) in pixels."""

    path: str
    size_bytes: int
    size: tuple[int, int]


class AttentionFiles(NamedTuple):
    """The attention labels of a painting, and where their heatmaps and their semantic ``mask`` were written."""

    labels: Labels
    heatmaps: HeatmapFiles
    mask: str


@dataclass(frozen=True, eq=False)
class WrittenPainting:
    """A painting whose image and attention labels are files already; ``lost_regions`` as a ``Painting``'s."""

    job: Job
    conditions: Conditions
    lost_regions: int
    image: ImageFile
    attention: AttentionFiles


def write_heatmaps(
    heatmaps: Heatmaps, shape: tuple[int, int], folder: Path, stem: str, model: str | None = None
) -> HeatmapFiles:
    """Write raw maps ((h, w), >= 0), with the model that made them, and one image of each at the image's (height,
    width) ``shape``."""
    from diffucurate.generator.labels.from_heatmaps import normalised_heatmaps
    from diffucurate.generator.labels.maps.canvas_maps import whole_maps

    maps = write_maps(folder / "maps" / f"{stem}.safetensors", heatmaps, model)
    images = {}
    for name, heatmap in normalised_heatmaps(whole_maps(heatmaps), shape).items():
        field = field_names.heatmap(name)
        images[field] = str(write_png(folder / field / f"{stem}.png", heatmap_pixels(heatmap)))
    return HeatmapFiles(str(maps), images)


def write_mask(source: str, labels: Labels, folder: Path, stem: str) -> str:
    """Write the semantic mask of a source's labels."""
    return str(write_png(folder / field_names.mask(source) / f"{stem}.png", labels.semantic))


def write_attention(
    painting: Painting, classes: Mapping[str, Sequence[str]], folder: Path, stem: str
) -> AttentionFiles:
    """Make labels of a painting from its attention maps, and write both.

    ``classes`` are all of the dataset's with their phrases, in the order of their ids.
    """
    from diffucurate.generator.labels.from_maps import labels_from_maps

    stored = as_stored(painting.heatmaps)
    labels = labels_from_maps(stored, painting.image, classes, painting.job.prompt)
    heatmaps = write_heatmaps(stored, labels.semantic.shape, folder, stem, painting.job.model)
    return AttentionFiles(labels, heatmaps, write_mask(source_of_maps().name, labels, folder, stem))


def write_image(painting: Painting, folder: Path, stem: str) -> ImageFile:
    """Write the image of a painting."""
    path = write_png(folder / "images" / f"{stem}.png", painting.image)
    height, width = painting.image.shape[:2]
    return ImageFile(str(path), path.stat().st_size, (width, height))


def write_painting(
    painting: Painting, classes: Mapping[str, Sequence[str]], folder: Path, stem: str
) -> WrittenPainting:
    """Label a painting by its attention, and write all of its files: the image last."""
    attention = write_attention(painting, classes, folder, stem)
    image = write_image(painting, folder, stem)
    return WrittenPainting(painting.job, painting.conditions, painting.lost_regions, image, attention)
