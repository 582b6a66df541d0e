"""The COCO instance format, with run-length masks: rings, parts and single pixels come back exactly.

    images/<split>/<name>.png         copies, upright
    annotations/<split>.json          ``file_name`` is relative to the split's image folder, as in COCO itself

Each annotation has the true area of its mask in pixels, the tight box [x, y, width, height], ``iscrowd`` and the
confidence as ``score``, which COCO defines for results and readers of annotations ignore.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.folder import Written, replacing_folder
from diffucurate.generator.exports.images import ExportRecord, ImageFolder
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.text.class_names import some_of

_INFO = {"description": "Written by Diffucurate", "version": "1.0"}


@dataclass
class CocoWritten(Written):
    """What was written, and the annotation file of each split."""

    annotations: dict[str, Path] = field(default_factory=dict)


def write_coco(
    records: Iterable[ExportRecord],
    folder: Path,
    classes: Sequence[str],
    *,
    overwrite: bool = False,
    link_images: bool = False,
) -> CocoWritten:
    """Write images and annotations. Records are taken one at a time and may be a generator.

    The folder appears complete or not at all. Category ids are 1 + the index in ``classes``, as in semantic masks.
    Images are copied, or hard links with ``link_images``.

    Raises:
        ExportError: the folder is not empty and ``overwrite`` is not set, or holds more than an earlier export; there
            are no records; an image is missing, unreadable or of another size than its masks; an instance's class is
            not in ``classes``.
    """
    written = CocoWritten()
    with replacing_folder(folder, "coco", overwrite=overwrite) as fresh, ExitStack() as files:
        images = ImageFolder(fresh, links=link_images)
        splits: dict[str, _SplitFile] = {}
        for record in records:
            path = images.add(record)
            if record.split not in splits:
                (fresh / "annotations").mkdir(exist_ok=True)
                file = fresh / "annotations" / f"{record.split}.json"
                splits[record.split] = _SplitFile(files.enter_context(file.open("w", encoding="utf-8")), classes)
            splits[record.split].add(path, record)
        if not splits:
            raise ExportError("there are no images to export; choose another view")
        for name, split in splits.items():
            split.finish()
            written.annotations[name] = folder / "annotations" / f"{name}.json"
            written.images[name], written.instances[name] = len(split.images), split.instances
    return written


class _SplitFile:
    """One annotation file. Annotations go to disk as they come; only the list of images is kept."""

    def __init__(self, stream: TextIO, classes: Sequence[str]) -> None:
        self._stream, self._classes = stream, list(classes)
        self.images: list[dict[str, Any]] = []
        self.instances = 0
        stream.write('{"annotations": [')

    def add(self, path: Path, record: ExportRecord) -> None:
        try:
            with Image.open(path) as image:
                width, height = image.size
        except (OSError, ImportError) as error:  # Ultralytics, once imported, makes Pillow raise the latter
            raise ExportError(f"image {path.name} cannot be read; export a view without it") from error
        image_id = len(self.images) + 1
        self.images.append({"id": image_id, "file_name": path.name, "width": width, "height": height})
        for index, instance in enumerate(record.instances):
            if instance.label not in self._classes:
                raise ExportError(f"instance of class '{instance.label}', expected one of {some_of(self._classes)}")
            if instance.mask.shape != (height, width):
                raise ExportError(
                    f"image {path.name} is {width} x {height} px, its mask {instance.mask.shape[1]} x "
                    f"{instance.mask.shape[0]}; label the image again"
                )
            self.instances += 1
            category = 1 + self._classes.index(instance.label)
            annotation = {"id": self.instances, "image_id": image_id, "category_id": category, **_shape(instance)}
            annotation["iscrowd"] = int(index in record.crowds)
            self._stream.write(("\n" if self.instances == 1 else ",\n") + json.dumps(annotation))

    def finish(self) -> None:
        # Readers take the latter two for granted: COCO.loadRes the one, COCO.getCatIds the other.
        categories = [
            {"id": 1 + index, "name": name, "supercategory": name} for index, name in enumerate(self._classes)
        ]
        rest = {"images": self.images, "categories": categories, "info": _INFO, "licenses": []}
        self._stream.write("\n]" + "".join(f",\n{json.dumps(key)}: {json.dumps(rest[key])}" for key in rest) + "}\n")


def _shape(instance: Instance) -> dict[str, Any]:
    runs = coco_mask.encode(np.asfortranarray(instance.mask, np.uint8))
    x0, y0, x1, y1 = instance.box
    return {
        "segmentation": {"size": list(instance.mask.shape), "counts": runs["counts"].decode("ascii")},
        "area": instance.area,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "score": round(instance.confidence, 6),
    }
