"""Writes one source's labels of a dataset or view as a folder that other tools train from.

Picks samples and instances; the formats themselves are in ``generator.exports`` and know nothing of FiftyOne.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, ExportError, InvalidSetting
from diffucurate.generator.exports.splits import assign_splits
from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.classes import exported_classes, only_classes
from diffucurate.plugin.store.instances import read_instances
from diffucurate.plugin.store.named_files import named_below
from diffucurate.plugin.store.samples import dataset_of

if TYPE_CHECKING:
    from diffucurate.generator.exports.images import ExportRecord

logger = logging.getLogger(__name__)

#: The formats that can be written.
FORMATS = ("coco", "yolo")

#: The split of all images where none are asked for.
ONLY_SPLIT = "train"


@dataclass(frozen=True)
class ExportSummary:
    """What was written: images and instances per split, below ``folder``.

    ``unlabelled`` counts the samples that the source has not labelled, and ``unreadable`` names the images that
    are missing or broken; both were left out. ``left_out`` names instances that were, each with its sample and why.
    ``notes`` are sentences on what a person may not expect.
    """

    folder: str
    format: str
    source: str
    images: dict[str, int]
    instances: dict[str, int]
    unlabelled: int
    unreadable: list[str]
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

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
    link_images: bool = False,
    progress: Listener | None = None,
) -> ExportSummary:
    """Write images and instances as ``coco`` (run-length masks, scores) or ``yolo`` (segmentation rows).

    Images are copies, upright: turned as their EXIF data say, which is how FiftyOne shows them and what labels are
    relative to. Formats that not every reader knows, such as GIF, are written as PNG.

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
        overwrite: replace an earlier export of the same format. Only files that it lists as its own, and that were
            not changed since, are replaced; never one that a sample of any dataset names.
        link_images: make hard links of images where the file system can, which take no space. Whoever writes to one in
            place, as some training programs do, changes the original.
        progress: called after each image.

    Raises:
        InvalidSetting: an unknown format, or a class that the dataset does not have.
        DatasetError: no labels of ``source``, or instances without masks.
        ExportError: the folder is not empty, holds more than an earlier export, or files that samples name; the splits
            make no sense; no image can be read.
    """
    from diffucurate.generator.exports.coco import write_coco
    from diffucurate.generator.exports.yolo import YoloWritten, write_yolo

    if format not in FORMATS:
        raise InvalidSetting("format", format, f"use one of {', '.join(FORMATS)}")
    dataset = dataset_of(samples)
    path = detections_field(samples, dataset, source)
    labelled = labelled_samples(samples, path, classes)
    if not labelled:
        raise DatasetError(f"no sample has labels of '{source}'; label them first or choose another view")
    folder = Path(out_dir).expanduser().absolute()
    prepare_folder(folder, format, overwrite)
    ids = labelled.values("id")
    chosen = assign_splits(ids, splits) if splits is not None else dict.fromkeys(ids, ONLY_SPLIT)
    for name in splits or ():
        if name not in chosen.values():
            raise ExportError(f"split '{name}' gets none of {len(ids)} images; give it more, or leave it out")
    every, origin = exported_classes(dataset, path)
    names = every if classes is None else [name for name in every if name in classes]
    notes = [f"class ids are those of {origin}, the same for every view of dataset '{dataset.name}'"]

    unreadable: list[str] = []
    left_out: list[str] = []
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
            records = _records(labelled, path, chosen, unreadable, left_out, meter)
            written = write(records, folder, names, overwrite=overwrite, link_images=link_images)
        except ExportError as error:
            if len(unreadable) == len(ids):
                raise ExportError(f"none of the {len(ids)} images can be read, such as {unreadable[0]}") from error
            raise
        if isinstance(written, YoloWritten) and written.note:
            notes.append(written.note)
        summary = ExportSummary(
            str(folder),
            format,
            source,
            dict(written.images),
            dict(written.instances),
            len(samples) - len(ids),
            unreadable,
            notes,
            left_out,
        )
        run.facts |= summary.to_dict()
    if left_out:
        logger.warning("left out %d instances, such as %s", len(left_out), left_out[0])
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

    Quick enough for forms; ``prepare_folder`` checks more.

    Raises:
        ExportError: it is a file, not empty without ``overwrite``, not writable, or holds more than an earlier export.
    """
    from diffucurate.generator.exports.folder import check_target

    folder = Path(os.path.realpath(folder))
    above = existing_parent(folder)
    if not os.path.isfile(folder) and not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
        raise ExportError(f"nothing can be written in {above}; name a folder somewhere else")
    check_target(folder, format, overwrite=overwrite)


def prepare_folder(folder: Path, format: str, overwrite: bool) -> None:
    """Put right what a killed export left beside a folder, then refuse one that cannot be written or replaced.

    Raises:
        ExportError: as ``check_folder``, or a sample of any dataset names a file in it.
    """
    from diffucurate.generator.exports.folder import recover

    recover(Path(os.path.realpath(folder)))
    check_folder(folder, format, overwrite)
    if os.path.isdir(folder) and (named := named_below(folder)):
        dataset, path = named
        raise ExportError(f"{folder} holds '{path}', an image or label of dataset '{dataset}'; name another folder")


def existing_parent(folder: Path) -> Path:
    """The nearest folder above ``folder`` that exists: an export is put in its place whole, so it must be writable."""
    # os.path, since Path.exists raises where a folder on the way may not be searched.
    return next((parent for parent in folder.parents if os.path.exists(parent)), folder)


def _records(
    samples: fo.DatasetView,
    field: str,
    splits: Mapping[str, str],
    unreadable: list[str],
    left_out: list[str],
    meter: Meter,
) -> Iterator[ExportRecord]:
    """The samples in turn; what cannot be written is added to ``unreadable`` and ``left_out``.

    Raises:
        DatasetError: there are instances, and none can be read.
        ExportError: a split without any readable image.
    """
    from diffucurate.generator.exports.images import ExportRecord, upright_size

    readable, count = set(), 0
    for sample in samples.select_fields(field).iter_samples():
        try:
            width, height = upright_size(sample.filepath)
        except OSError:
            unreadable.append(sample.filepath)
            meter.advance(note=f"left out {sample.filepath}: it cannot be read")
            continue
        readable.add(splits[sample.id])
        read = read_instances(sample[field], (height, width))
        left_out += [f"{sample.filepath}, {field}: {reason}" for reason in read.left_out.values()]
        count += len(read.instances)
        yield ExportRecord(Path(sample.filepath), read.instances, splits[sample.id], read.crowds)
        meter.advance()
    if left_out and not count:
        raise DatasetError(f"none of {len(left_out)} instances can be read: {left_out[0]}")
    for name in sorted(set(splits.values()) - readable):
        raise ExportError(f"none of the images of split '{name}' can be read; export others, or leave it out")
