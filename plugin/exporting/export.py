"""Writes one source's labels of a dataset or view as a folder that other tools train from.

Picks samples and instances; the formats themselves are in ``generator.exports`` and know nothing of FiftyOne.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo
from fiftyone import ViewField as F
from PIL import Image

from diffucurate.generator.errors import DatasetError, ExportError, InvalidSetting
from diffucurate.generator.exports.splits import assign_splits
from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.classes import classes_in, only_classes, read_classes
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.label_values import instances_of
from diffucurate.plugin.store.samples import dataset_of

if TYPE_CHECKING:
    from diffucurate.generator.exports.folder import ExportRecord

logger = logging.getLogger(__name__)

#: Format -> what an earlier export of it may hold at its top; nothing else is ever replaced.
FORMATS: dict[str, frozenset[str]] = {
    "coco": frozenset({"images", "annotations"}),
    "yolo": frozenset({"images", "labels", "data.yaml", "scores.csv"}),
}

#: The split of all images where none are asked for.
ONLY_SPLIT = "train"


@dataclass(frozen=True)
class ExportSummary:
    """What was written: images and instances per split, below ``folder``.

    ``unlabelled`` counts the samples that the source has not labelled, and ``unreadable`` names the images that
    are missing or broken; both were left out.
    """

    folder: str
    format: str
    source: str
    images: dict[str, int]
    instances: dict[str, int]
    unlabelled: int
    unreadable: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def first_step(self) -> str:
        """One line that trains from the folder or, for COCO, reads it: a shell command or Python."""
        if self.format == "yolo":
            data = shlex.quote(str(Path(self.folder) / "data.yaml"))
            return f"yolo segment train model=yolov8n-seg.pt data={data}"
        split = ONLY_SPLIT if ONLY_SPLIT in self.images else next(iter(self.images))
        annotations = str(Path(self.folder) / "annotations" / f"{split}.json")
        return f"from pycocotools.coco import COCO; coco = COCO({annotations!r})"


def export(
    samples: fo.Dataset | fo.DatasetView,
    out_dir: str | os.PathLike[str],
    *,
    format: str,
    source: str,
    classes: Sequence[str] | None = None,
    splits: Mapping[str, float] | None = None,
    overwrite: bool = False,
    progress: Listener | None = None,
) -> ExportSummary:
    """Write images and instances as ``coco`` (run-length masks, scores) or ``yolo`` (segmentation rows).

    Only the samples of ``samples`` and the instances that its filters show are written. A sample that ``source``
    labelled without finding anything is written as an image without objects. The folder appears complete or not
    at all.

    Args:
        samples: a dataset or view.
        out_dir: the folder to write.
        format: ``coco`` or ``yolo``.
        source: the label source whose instances are written.
        classes: only instances of these, which are then all the classes that the export knows; all by default. An image
            without any is written as one without objects.
        splits: split -> share of the images, which must add up to 1; all are ``train`` by default. An image stays
            in its split from export to export of the same samples.
        overwrite: replace an earlier export.
        progress: called after each image.

    Raises:
        InvalidSetting: an unknown format, or a class that the dataset does not have.
        DatasetError: no labels of ``source``, or instances without masks.
        ExportError: the folder is not empty, or holds more than an earlier export; the splits make no sense; no
            image can be read.
    """
    from diffucurate.generator.exports.coco import write_coco
    from diffucurate.generator.exports.yolo import write_yolo

    if format not in FORMATS:
        raise InvalidSetting("format", format, f"use one of {', '.join(FORMATS)}")
    dataset = dataset_of(samples)
    field = instances_field(dataset, source)
    labelled = labelled_samples(samples, field, classes)
    if not labelled:
        raise DatasetError(f"no sample has labels of '{source}'; label them first or choose another view")
    folder = Path(out_dir).expanduser().absolute()
    check_folder(folder, format, overwrite)
    ids = labelled.values("id")
    chosen = assign_splits(ids, splits) if splits is not None else dict.fromkeys(ids, ONLY_SPLIT)
    if classes is None:
        names = [*read_classes(dataset)]
        names += sorted(set(labelled.distinct(f"{field}.detections.label")).difference(names))
    else:
        names = [name for name in classes_in(dataset, field) if name in classes]

    unreadable: list[str] = []
    meter = Meter(progress, len(ids))
    settings = {
        "folder": str(folder),
        "format": format,
        "source": source,
        "samples": len(samples),
        **({} if classes is None else {"classes": list(classes)}),
        "splits": None if splits is None else dict(splits),
    }
    with runs.recorded(dataset, "export", settings) as run:
        write = {"coco": write_coco, "yolo": write_yolo}[format]
        try:
            records = _records(labelled, field, chosen, unreadable, meter)
            written = write(records, folder, names, overwrite=overwrite)
        except ExportError as error:
            if len(unreadable) == len(ids):
                raise ExportError(f"none of the {len(ids)} images can be read, such as {unreadable[0]}") from error
            raise
        summary = ExportSummary(
            str(folder),
            format,
            source,
            dict(written.images),
            dict(written.instances),
            len(samples) - len(ids),
            unreadable,
        )
        run.facts |= summary.to_dict()
    if unreadable:
        logger.warning("left out %d images that cannot be read: %s", len(unreadable), ", ".join(unreadable))
    return summary


def labelled_samples(
    samples: fo.Dataset | fo.DatasetView, field: str, classes: Sequence[str] | None = None
) -> fo.DatasetView:
    """The samples that have a value in the Detections field ``field``; with ``classes``, only instances of these.

    Raises:
        InvalidSetting: a class that the dataset does not have.
    """
    labelled = samples.match(F(field) != None)  # noqa: E711  (a database expression)
    return labelled if classes is None else only_classes(labelled, dataset_of(samples), (field,), classes)


def check_folder(folder: Path, format: str, overwrite: bool) -> None:
    """Refuse a folder that cannot be written, or that holds something else, such as a home directory named by mistake.

    Raises:
        ExportError: it is a file, not empty without ``overwrite``, not writable, or holds more than an earlier export.
    """
    if os.path.isfile(folder):
        raise ExportError(f"{folder} is a file; name a folder to export to")
    above = existing_parent(folder)
    if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
        raise ExportError(f"nothing can be written in {above}; name a folder somewhere else")
    if not os.path.isdir(folder):
        return
    try:
        items = list(folder.iterdir())
    except OSError as error:
        raise ExportError(f"{folder} cannot be read: {error.strerror}; name another folder") from error
    # Ultralytics leaves *.cache files beside the labels it read.
    strangers = [item.name for item in items if item.name not in FORMATS[format] and item.suffix != ".cache"]
    if strangers and overwrite:
        raise ExportError(
            f"{folder} holds '{sorted(strangers)[0]}', which is not part of a {format} export; name another folder"
        )
    if items and not overwrite:
        raise ExportError(f"{folder} is not empty; overwrite it or name another folder")


def existing_parent(folder: Path) -> Path:
    """The nearest folder above ``folder`` that exists: an export is put in its place whole, so it must be writable."""
    # os.path, since Path.exists raises where a folder on the way may not be searched.
    return next((parent for parent in folder.parents if os.path.exists(parent)), folder)


def _records(
    samples: fo.DatasetView, field: str, splits: Mapping[str, str], unreadable: list[str], meter: Meter
) -> Iterator[ExportRecord]:
    from diffucurate.generator.exports.folder import ExportRecord

    for sample in samples.select_fields(field).iter_samples():
        try:
            with Image.open(sample.filepath) as image:
                width, height = image.size
        except (OSError, ImportError):  # Ultralytics, once imported, makes Pillow raise the latter
            unreadable.append(sample.filepath)
            meter.advance(note=f"left out {sample.filepath}: it cannot be read")
            continue
        yield ExportRecord(Path(sample.filepath), instances_of(sample[field], (height, width)), splits[sample.id])
        meter.advance()
