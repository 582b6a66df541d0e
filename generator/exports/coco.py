"""The COCO instance format, with run-length masks: rings, parts and single pixels come back exactly.

    images/<split>/<name>.png             copies, upright
    annotations/<split>.json              ``file_name`` is relative to the split's image folder, as in COCO itself
    annotations/captions_<split>.json     the images' prompts, of those that have one

Each annotation has the true area of its mask in pixels, the tight box [x, y, width, height], ``iscrowd`` and the
confidence as ``score``, which COCO defines for results and readers of annotations ignore. An instance of which only the
box is known has no ``segmentation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffucurate.generator.exports.about import About, write_readme
from diffucurate.generator.exports.annotation_file import AnnotationFile, box_xywh, info_of, licences_of, run_length
from diffucurate.generator.exports.folder import Written, replacing_folder
from diffucurate.generator.exports.images import ExportRecord, ImageFolder, checked_size
from diffucurate.generator.labels.model import Instance


@dataclass
class CocoWritten(Written):
    """What was written, and the files of each split: its instances, its captions where images have prompts."""

    annotations: dict[str, Path] = field(default_factory=dict)
    captions: dict[str, Path] = field(default_factory=dict)


def write_coco(
    records: Iterable[ExportRecord],
    folder: Path,
    classes: Sequence[str],
    *,
    overwrite: bool = False,
    link_images: bool = False,
    about: About | None = None,
) -> CocoWritten:
    """Write images and annotations. Records are taken one at a time and may be a generator.

    The folder appears complete or not at all. Category ids are 1 + the index in ``classes``, as in semantic masks.
    Images are copied, or hard links with ``link_images``. ``about`` fills ``info``, ``licenses`` and the
    supercategories, which are the classes themselves where it names none, and adds a README.md.

    Raises:
        ExportError: the folder is not empty and ``overwrite`` is not set, or holds more than an earlier export; there
            are no records; an image is missing, unreadable or of another size than its masks; an instance's class is
            not in ``classes``.
    """
    written = CocoWritten()
    licences = licences_of(about)
    licensed = {"license": 1} if licences else {}
    ids = {name: 1 + index for index, name in enumerate(classes)}
    with replacing_folder(folder, "coco", overwrite=overwrite) as fresh, ExitStack() as open_files:
        images = ImageFolder(fresh, links=link_images)
        instances: dict[str, AnnotationFile] = {}
        captions: dict[str, AnnotationFile] = {}
        for record in records:
            path, split = images.add(record), record.split
            size = checked_size(path, record.instances, classes)
            if split not in instances:
                instances[split] = AnnotationFile(fresh / "annotations" / f"{split}.json", open_files)
            image_id = instances[split].images + 1
            instances[split].add_image(image_id, path, size, **licensed)
            for index, instance in enumerate(record.instances):
                crowd = int(index in record.crowds)
                instances[split].add(category_id=ids[instance.label], **shape_of(instance), iscrowd=crowd)
            if record.prompt:
                if split not in captions:
                    captions[split] = AnnotationFile(fresh / "annotations" / f"captions_{split}.json", open_files)
                captions[split].add_image(image_id, path, size, **licensed)
                captions[split].add(caption=record.prompt)
            written.add(split, (instance.label for instance in record.instances))
        written.require_images()
        rest: dict[str, Any] = {"info": info_of(about), "licenses": licences}
        for file in instances.values():
            file.finish(categories=categories_of(classes, about), **rest)
        for file in captions.values():
            file.finish(**rest)
        written.annotations = {split: folder / "annotations" / f"{split}.json" for split in instances}
        written.captions = {split: folder / "annotations" / f"captions_{split}.json" for split in captions}
        write_readme(fresh, about, written)
    return written


def shape_of(instance: Instance) -> dict[str, Any]:
    """An instance's mask (unless only its box is known), area in pixels, box and confidence, by COCO's names."""
    return {
        **({} if instance.boxed else {"segmentation": run_length(instance)}),
        "area": instance.area,
        "bbox": box_xywh(instance),
        "score": round(instance.confidence, 6),
    }


def categories_of(classes: Sequence[str], about: About | None) -> list[dict[str, Any]]:
    """COCO's ``categories``. Readers take ``supercategory`` for granted, as ``COCO.getCatIds`` does."""
    above = {} if about is None else about.supercategories
    return [
        {"id": 1 + index, "name": name, "supercategory": above.get(name, name)} for index, name in enumerate(classes)
    ]
