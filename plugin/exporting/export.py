"""Writes one source's labels of a dataset or view as a folder that other tools train from.

Picks samples and instances; the formats themselves are in ``generator.exports`` and know nothing of FiftyOne.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, ExportError
from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.curation.relatives import USUAL, leaks
from diffucurate.plugin.exporting.facts import datasheet, supercategories_of
from diffucurate.plugin.exporting.formats import ONLY_SPLIT, format_named, writer_of
from diffucurate.plugin.exporting.mixing import check_probability, check_splits_for_mixing, mixed, variants_in
from diffucurate.plugin.exporting.records import LeftOut, labelled_samples, records
from diffucurate.plugin.exporting.semantic_masks import SemanticMasks
from diffucurate.plugin.exporting.start import check_room, split_evenly
from diffucurate.plugin.exporting.summary import ExportSummary
from diffucurate.plugin.exporting.target import prepare_folder
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.classes import exported_classes
from diffucurate.plugin.store.label_sources import count_masks
from diffucurate.plugin.store.samples import dataset_of

logger = logging.getLogger(__name__)


def export(
    samples: fo.Dataset | fo.DatasetView,
    out_dir: str | os.PathLike[str],
    *,
    format: str,
    source: str,
    classes: Sequence[str] | None = None,
    splits: Mapping[str, float] | None = None,
    together: Sequence[str] = USUAL,
    augmented: float | None = None,
    seed: int = 0,
    check_leaks: bool = False,
    overwrite: bool = False,
    link_images: bool = False,
    progress: Listener | None = None,
) -> ExportSummary:
    """Write images and instances in one of ``plugin.exporting.formats``, with a datasheet, README.md.

    Images are copies, upright: turned as their EXIF data say, which is how FiftyOne shows them and what labels are
    relative to. Formats that not every reader knows, such as GIF, are written as PNG.

    Only the samples of ``samples`` and the instances that its filters show are written. A sample that ``source``
    labelled without finding anything is written as an image without objects. In masks of classes the pixels of
    instances that the view hides are 255, unknown. The folder appears complete or not at all, and the same view gives
    the same bytes. Instances of which only the box is known are written as boxes where the format has a place for them
    (``ExportFormat.boxes``), else left out.

    Args:
        samples: a dataset or view.
        out_dir: the folder to write.
        format: ``coco``, ``yolo``, ``voc``, ``semantic``, ``huggingface``, ``parquet``, ``lvis`` or ``cvat``.
        source: the label source whose instances are written.
        classes: only instances of these, which are then all the classes that the export knows; all by default. An image
            without any is written as one without objects.
        splits: split -> share of the images, which must add up to 1; all are ``train`` by default. An image stays
            in its split from export to export of the same samples.
        together: which images share a split: ``parent`` (painted one from the other or from one image, the default),
            ``prompt``, ``seed`` and ``near`` (thumbnails nearly the same). Shares are then met as nearly as they allow.
            Mosaics go where the images are that they are made of, and are left out where these are in several splits.
        augmented: the probability by which an image is replaced by one of its augmented variants among ``samples``;
            those that replace none are left out. Of ``splits`` only the images of ``train`` are replaced. By default
            variants are images as any others, in the split of what they were painted from.
        seed: of these draws.
        check_leaks: whether all images are read once more, to note how many nearly equal one of another split.
        overwrite: replace an earlier export of the same format. Only files that it lists as its own, and that were
            not changed since, are replaced; never one that a sample of any dataset names.
        link_images: make hard links of images where the file system can, which take no space. Whoever writes to one in
            place, as some training programs do, changes the original.
        progress: called after each image.

    Raises:
        InvalidSetting: an unknown format, a class that the dataset does not have, or ``augmented`` with splits of which
            none is called ``train``.
        DatasetError: no labels of ``source``, none of its instances can be written, or no image has augmented variants
            where these are asked for.
        ExportError: the folder is not empty, holds more than an earlier export, or files that samples name; the splits
            make no sense; no image can be read; the format needs a package that is not installed.
    """
    from diffucurate.generator.exports.about import About
    from diffucurate.generator.exports.yolo import YoloWritten

    write, described = writer_of(format), format_named(format)
    dataset = dataset_of(samples)
    path = detections_field(samples, dataset, source)
    labelled = labelled_samples(samples, path, classes)
    if not labelled:
        raise DatasetError(f"no sample has labels of '{source}'; label them first or choose another view")
    if augmented is not None:
        check_probability(augmented)
        check_splits_for_mixing(splits)
        variants = variants_in(labelled)
        every_labelled, labelled = labelled, labelled.select(list(variants))
    folder = Path(out_dir).expanduser().absolute()
    prepare_folder(folder, format, overwrite)
    check_room(samples, folder, format=format, source=source, classes=classes, link_images=link_images)
    count, strays, chosen = len(labelled), 0, None
    unlabelled = len(samples) - (count if augmented is None else len(every_labelled))
    if splits is not None:
        ids = labelled.values("id")
        chosen = split_evenly(dataset, ids, splits, together)
        strays, count = count - len(chosen), len(chosen)
        if strays:
            labelled = labelled.select([sample_id for sample_id in ids if sample_id in chosen])
    every, origin = exported_classes(dataset, path)
    names = every if classes is None else [name for name in every if name in classes]
    notes = [f"{strays} mosaics of images in several splits were left out"] if strays else []
    if augmented is not None:
        taken_for = mixed(variants, chosen, augmented, seed)
        labelled = every_labelled.select(list(taken_for.values()))
        chosen = None if chosen is None else {taken: chosen[image] for image, taken in taken_for.items()}
        replaced = sum(image != taken for image, taken in taken_for.items())
        notes.append(f"{replaced} of {len(taken_for)} images are augmented variants in place of their own")
    if check_leaks:
        leaking = leaks(dataset, chosen or dict.fromkeys(labelled.values("id"), ONLY_SPLIT))
        notes.append(
            f"{len(leaking)} images nearly equal one of another split" if leaking else "no image is in two splits"
        )
    notes += [f"class ids are those of {origin}, the same for every view of dataset '{dataset.name}'"]

    left_out, boxes = LeftOut(), described.takes_boxes(count_masks(labelled, path)[1])
    meter = Meter(progress, count)
    settings = {
        "folder": str(folder),
        "format": format,
        "source": source,
        "samples": len(samples),
        **({} if classes is None else {"classes": list(classes)}),
        "splits": None if splits is None else dict(splits),
        **({} if splits is None else {"together": list(together)}),
        **({} if augmented is None else {"augmented": augmented, "seed": seed}),
    }
    sheet = datasheet(labelled, path, format=format, source=source, classes=names, unlabelled=unlabelled)
    about = About(
        name=dataset.name,
        description=f"Images of dataset '{dataset.name}' with labels of '{source}', written by Diffucurate",
        licence=sheet.licence,
        supercategories=supercategories_of(dataset),
        readme=lambda written: sheet.render(
            written, unreadable=len(left_out.unreadable), left_out=len(left_out.instances)
        ),
    )
    with runs.recorded(dataset, "export", settings) as run:
        try:
            masks = SemanticMasks(labelled, source, path, names) if described.semantic else None
            taken = records(labelled, path, chosen, left_out, meter, masks, boxes=boxes)
            written = write(taken, folder, names, overwrite=overwrite, link_images=link_images, about=about)
        except ExportError as error:
            if len(left_out.unreadable) == count:
                raise ExportError(
                    f"none of the {count} images can be read, such as {left_out.unreadable[0]}"
                ) from error
            raise
        if isinstance(written, YoloWritten) and written.note:
            notes.append(written.note)
        if left_out.boxes:
            notes.append(f"instances that are boxes without masks: {left_out.boxes}")
        if masks is not None and masks.unreadable:
            broken = f"{len(masks.unreadable)} semantic masks cannot be read or have another size, such as that of"
            notes.append(f"{broken} {masks.unreadable[0]}; they were painted from the instances")
        summary = ExportSummary(
            str(folder),
            format,
            source,
            dict(written.images),
            dict(written.instances),
            unlabelled,
            left_out.unreadable,
            notes,
            left_out.instances,
            left_out.boxes,
        )
        run.facts |= summary.to_dict()
    if left_out.instances:
        logger.warning("left out %d instances, such as %s", len(left_out.instances), left_out.instances[0])
    if left_out.unreadable:
        count, paths = len(left_out.unreadable), ", ".join(left_out.unreadable)
        logger.warning("left out %d images that cannot be read: %s", count, paths)
    return summary
