"""The YOLO formats of segmentation and of boxes: one text file per image, one row per instance.

    data.yaml                      splits, relative to the file itself, and class names
    images/<split>/<name>.png      copies, upright
    labels/<split>/<name>.txt      ``class x1 y1 x2 y2 ...`` in units of width and height; empty without objects.
                                   Of instances that are boxes: ``class x y width height``, of the box's centre
    scores.csv                     split, image, row, class and confidence of every instance

A row holds one closed ring, so parts and holes are joined by bridges of zero width (``polygons.bridge``). Readers
that draw the outline paint the pixels under a bridge: an instance in two parts comes back at an IoU of
area / (area + gap), both in pixels, which is the best that one ring can do. Holes and gaps of a few percent of
the area cost next to nothing; where a wide gap matters, export COCO. Rows have no place for a confidence: a reader
would take it for a coordinate. It is kept in ``scores.csv``. Nor is there one for regions of many objects, which are
left out. Of a folder with rows of both kinds readers drop the outlines, so all instances must have masks, or none.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.about import About, write_readme
from diffucurate.generator.exports.folder import Written, replacing_folder
from diffucurate.generator.exports.images import ExportRecord, ImageFolder
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.labels.polygon_bridges import bridge
from diffucurate.generator.text.class_names import some_of

YoloRecord = ExportRecord


@dataclass
class YoloWritten(Written):
    """What was written, the file to train from, and one sentence where a split stands in for another, else nothing."""

    data_yaml: Path = Path("data.yaml")
    note: str = ""


def write_yolo(
    records: Iterable[YoloRecord],
    folder: Path,
    classes: Sequence[str],
    *,
    overwrite: bool = False,
    link_images: bool = False,
    about: About | None = None,
) -> YoloWritten:
    """Write a data set that Ultralytics trains from. Records are taken one at a time and may be a generator.

    The folder appears complete or not at all. YOLO class ids are the indices in ``classes``, from 0. data.yaml
    names the splits train, val and test; readers insist on the first two, so one that is missing is given another
    split's folder, and ``note`` says so. A bridge between parts costs the pixels it crosses, so a part that is smaller
    than its bridge is left out; COCO keeps everything. Images are copied, or hard links with ``link_images``.
    ``about`` adds a README.md.

    Raises:
        ExportError: the folder is not empty and ``overwrite`` is not set, or holds more than an earlier export; there
            are no records; an image is missing or unreadable; an instance's class is not in ``classes``; there are
            boxes beside masks.
    """
    written = YoloWritten(data_yaml=folder / "data.yaml")
    kinds: set[bool] = set()
    with replacing_folder(folder, "yolo", overwrite=overwrite) as fresh:
        images = ImageFolder(fresh, links=link_images)
        with (fresh / "scores.csv").open("w", newline="", encoding="utf-8") as scores_file:
            scores = csv.writer(scores_file)
            scores.writerow(["split", "image", "row", "class", "confidence"])
            for record in records:
                image = images.add(record)
                label = fresh / "labels" / record.split / f"{image.stem}.txt"
                label.parent.mkdir(parents=True, exist_ok=True)
                objects = [item for index, item in enumerate(record.instances) if index not in record.crowds]
                kinds |= {instance.boxed for instance in objects}
                if len(kinds) > 1:
                    raise ExportError("some instances have masks and some boxes only, and YOLO has no place for both")
                label.write_text("".join(_row(instance, classes) + "\n" for instance in objects), "utf-8")
                for row, instance in enumerate(objects):
                    scores.writerow([record.split, image.name, row, instance.label, f"{instance.confidence:.6f}"])
                written.add(record.split, (instance.label for instance in objects))
        written.require_images()
        named = _named_splits(list(written.images))
        written.note = _stand_in(named)
        content = {**{key: f"images/{name}" for key, name in named.items()}, "names": dict(enumerate(classes))}
        comment = f"# {written.note}\n" if written.note else ""
        text = comment + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (fresh / "data.yaml").write_text(text, "utf-8")
        write_readme(fresh, about, written)
    return written


def _row(instance: Instance, classes: Sequence[str]) -> str:
    if instance.label not in classes:
        raise ExportError(f"instance of class '{instance.label}', expected one of {some_of(classes)}")
    height, width = instance.mask.shape
    if instance.boxed:
        x0, y0, x1, y1 = instance.box
        values = np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]) / (width, height, width, height)
    else:
        values = (bridge(instance.polygons, prune=True) / (width, height)).ravel()
    return " ".join([str(list(classes).index(instance.label)), *(f"{value:.6f}" for value in values)])


def _named_splits(splits: Sequence[str]) -> dict[str, str]:
    """What data.yaml calls a split -> the split."""
    # Splits of other names get no key, which could be one that readers act upon, such as "download".
    train = "train" if "train" in splits else splits[0]
    others = [name for name in ("val", "test", *splits) if name in splits and name != train]
    return {"train": train, "val": others[0] if others else train, **({"test": "test"} if "test" in splits else {})}


def _stand_in(named: dict[str, str]) -> str:
    if named["val"] == "val":
        return ""
    if named["val"] == named["train"]:
        return f"val names the images of {named['train']}, as readers want one: its scores say nothing of other images"
    return f"val names the images of {named['val']}, as readers want one"
