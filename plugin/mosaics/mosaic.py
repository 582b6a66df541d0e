"""Makes mosaics of labelled images and adds them to their dataset, labels and all.

More and smaller objects in an image: DiffuMask trains on such mosaics beside the images. MosaicFusion found that tiling
finished images gains next to nothing over the images themselves (LVIS rare mask AP 14.0 either way) where painting
several objects into one image does, so try it before relying on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import fiftyone as fo
import numpy as np

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.mosaics.splice import Tile, cell_shape, fitted, splice
from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.appearance.scheme import place_fields
from diffucurate.plugin.mosaics.grids import GRIDS, Grid
from diffucurate.plugin.mosaics.start import check_mosaics, usable_grids
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.classes import exported_classes, extend_classes
from diffucurate.plugin.store.instances import read_instances
from diffucurate.plugin.store.label_files import store_labels
from diffucurate.plugin.store.label_values import to_detection
from diffucurate.plugin.store.media_files import read_image, write_png
from diffucurate.plugin.store.media_folder import media_folder
from diffucurate.plugin.store.run_files import marked_run
from diffucurate.plugin.store.samples import all_images, dataset_of
from diffucurate.plugin.store.schema import declare_mosaics

#: The tag and the task of mosaics.
MOSAIC = "mosaic"

#: Mosaics that are added to the dataset at once.
_AT_ONCE = 16


class _Plan(NamedTuple):
    """One mosaic: the ids of its images, row by row, its grid, and a digest of all that it is made of."""

    parents: tuple[str, ...]
    grid: Grid
    digest: str


def mosaic(
    samples: fo.Dataset | fo.DatasetView,
    *,
    source: str,
    count: int = 100,
    grids: Sequence[Grid] = GRIDS,
    longest: int | None = None,
    seed: int = 0,
    progress: Listener | None = None,
) -> fo.DatasetView:
    """Add mosaics of the images of ``samples`` to their dataset, with the labels of one source.

    Semantic masks, instances, boxes and polygons are carried over exactly; ``mosaic.parents`` lists the images. Make
    them of the images that are trained on: ``export`` leaves out mosaics of images in several splits.

    Args:
        samples: a curated view, say; mosaics among them are no parts of others.
        source: whose labels are carried over. Images that it has not labelled take no part.
        count: number of mosaics; those that an earlier call with the same settings made are not made again.
        grids: (rows, columns), of which one is drawn for each mosaic; those with more cells than there are images are
            left out.
        longest: pixels of a mosaic's longest side, that of the first image by default. No image is enlarged, and one of
            other proportions than the first is cut around its middle.
        seed: of all that is drawn by chance.
        progress: called after each mosaic.

    Returns:
        The mosaics that were added; they bear the tag ``mosaic``.

    Raises:
        InvalidSetting: a count, length or grid out of range, or more cells in every grid than there are images.
        DatasetError: no labels of ``source``, or an image that cannot be read.
    """
    check_mosaics(samples, source=source, count=count, grids=grids, longest=longest)
    dataset = dataset_of(samples)
    path = detections_field(samples, dataset, source)
    declare_mosaics(dataset)
    ids = [
        sample_id
        for sample_id, parents in zip(*samples.exists(path).values(["id", field_names.MOSAIC_PARENTS]), strict=True)
        if not parents
    ]
    if not ids:
        raise DatasetError(f"no sample has labels of '{source}'; label them first or choose another view")
    usable = usable_grids(grids, len(ids))
    made = set(all_images(dataset).distinct(f"{field_names.MOSAIC}.digest"))
    plans = [plan for plan in _plans(ids, usable, count, seed, f"{source} {longest}") if plan.digest not in made]
    record = {
        "source": source,
        "count": count,
        "grids": [list(grid) for grid in usable],
        "longest": longest,
        "seed": seed,
    }
    meter, added = Meter(progress, len(plans), "mosaics"), []
    with runs.recorded(dataset, MOSAIC, record) as run, marked_run(media_folder(dataset), run.key):
        writer = _Writer(dataset, samples, source, path, longest, run.key)
        for start in range(0, len(plans), _AT_ONCE):
            new = []
            for plan in plans[start : start + _AT_ONCE]:
                new.append(writer.sample(plan))
                meter.advance()
            added += dataset.add_samples(new, progress=False)
        run.facts |= {"added": len(added)}
    place_fields(dataset)
    return all_images(dataset).select(added, ordered=True)


def _plans(ids: Sequence[str], grids: Sequence[Grid], count: int, seed: int, what: str) -> Iterator[_Plan]:
    chance = Random(f"{seed}")
    ordered = sorted(ids)
    for _ in range(count):
        rows, columns = chance.choice(list(grids))
        parents = tuple(chance.sample(ordered, rows * columns))
        text = " ".join([what, f"{rows}x{columns}", *parents])
        yield _Plan(parents, (rows, columns), sha256(text.encode()).hexdigest()[:16])


class _Writer:
    """Makes the samples of mosaics; their files are written, they are in no dataset yet."""

    def __init__(
        self,
        dataset: fo.Dataset,
        samples: fo.Dataset | fo.DatasetView,
        source: str,
        path: str,
        longest: int | None,
        run_key: str,
    ) -> None:
        self._path, self._longest, self._run_key = path, longest, run_key
        self._source, self._folder = source, media_folder(dataset)
        names, _ = exported_classes(dataset, path)
        # Labels of a source have semantic masks and polygons too.
        mask = field_names.mask(source) if path == field_names.instances(field_names.part(source)) else None
        self._mask = mask if mask is not None and dataset.has_sample_field(mask) else None
        if self._mask is not None:
            names = list(extend_classes(dataset, {name: [name] for name in names}))
        self._classes = tuple(names)
        self._samples = samples.select_fields([path, *([self._mask] if self._mask is not None else [])])

    def sample(self, plan: _Plan) -> fo.Sample:
        rows, columns = plan.grid
        tiles, shape = [], None
        for parent in self._samples.select(list(plan.parents), ordered=True):
            tile = self._tile(parent)
            if shape is None:
                own = (tile.pixels.shape[0], tile.pixels.shape[1])
                shape = cell_shape(own, rows, columns, self._longest or max(own))
            tiles.append(fitted(tile, shape))
        whole = splice(tiles, rows, columns)
        stem = f"{plan.digest}-{self._run_key}"
        file = write_png(self._folder / "images" / f"{stem}.png", whole.pixels)
        height, width = whole.pixels.shape[:2]
        made_of = {"parents": list(plan.parents), "rows": rows, "columns": columns, "digest": plan.digest}
        values: dict[str, Any] = {
            field_names.MOSAIC: fo.DynamicEmbeddedDocument(**made_of),
            field_names.RUN_KEY: self._run_key,
            field_names.TASK: MOSAIC,
            **self._labels(whole.labels, self._folder, stem),
        }
        metadata = fo.ImageMetadata(
            size_bytes=file.stat().st_size, mime_type="image/png", width=width, height=height, num_channels=3
        )
        return fo.Sample(filepath=str(file), tags=[MOSAIC], metadata=metadata, **values)

    def _labels(self, labels: Labels, folder: Path, stem: str) -> dict[str, Any]:
        if self._mask is not None:
            return store_labels(self._source, labels, folder, stem)
        return {self._path: fo.Detections(detections=[to_detection(each) for each in labels.instances])}

    def _tile(self, sample: Any) -> Tile:
        try:
            pixels = read_image(sample.filepath)
        except OSError as error:
            raise DatasetError(f"image {sample.filepath} cannot be read; choose a view without it") from error
        shape = (pixels.shape[0], pixels.shape[1])
        instances = read_instances(sample[self._path], shape).instances
        labels = Labels.from_instances(instances, self._classes, shape)
        stored = sample[self._mask] if self._mask is not None else None
        if stored is not None:
            semantic = np.asarray(stored.get_mask())
            if semantic.shape == shape and semantic.dtype == np.uint8:
                labels = Labels(semantic, labels.instances, self._classes)
        return Tile(pixels, labels)
