"""The YOLO segmentation format: one text file per image, one row per instance.

    data.yaml                      splits, relative to the file itself, and class names
    images/<split>/<name>.png      linked or copied
    labels/<split>/<name>.txt      ``class x1 y1 x2 y2 ...`` in units of width and height; empty without objects
    scores.csv                     split, image, row, class and confidence of every instance

A row holds one closed ring, so parts and holes are joined by bridges of zero width (``polygons.bridge``). Readers
that draw the outline paint the pixels under a bridge: an instance in two parts comes back at an IoU of
area / (area + gap), both in pixels, which is the best that one ring can do. Holes and gaps of a few percent of
the area cost next to nothing; where a wide gap matters, export COCO. Rows have no place for a confidence: a reader
would take it for a coordinate. It is kept in ``scores.csv``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.folder import ExportRecord, ImageFolder, Written, replacing_folder
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.labels.polygon_bridges import bridge

YoloRecord = ExportRecord


@dataclass
class YoloWritten(Written):
    """What was written, and the file to train from."""

    data_yaml: Path = Path("data.yaml")


def write_yolo(
    records: Iterable[YoloRecord], folder: Path, classes: Sequence[str], *, overwrite: bool = False
) -> YoloWritten:
    """Write a data set that Ultralytics trains from. Records are taken one at a time and may be a generator.

    The folder appears complete or not at all. YOLO class ids are the indices in ``classes``, from 0. data.yaml
    names the splits train, val and test; readers insist on the first two, so one that is missing is given another
    split's folder. A bridge between parts costs the pixels it crosses, so a part that is smaller than its bridge is
    left out; COCO keeps everything.

    Raises:
        ExportError: the folder is not empty and ``overwrite`` is not set; there are no records; an image is
            missing; an instance's class is not in ``classes``.
    """
    written = YoloWritten(data_yaml=folder / "data.yaml")
    with replacing_folder(folder, overwrite=overwrite) as fresh:
        images = ImageFolder(fresh)
        with (fresh / "scores.csv").open("w", newline="", encoding="utf-8") as scores_file:
            scores = csv.writer(scores_file)
            scores.writerow(["split", "image", "row", "class", "confidence"])
            for record in records:
                image = images.add(record)
                label = fresh / "labels" / record.split / f"{image.stem}.txt"
                label.parent.mkdir(parents=True, exist_ok=True)
                label.write_text("".join(_row(instance, classes) + "\n" for instance in record.instances), "utf-8")
                for row, instance in enumerate(record.instances):
                    scores.writerow([record.split, image.name, row, instance.label, f"{instance.confidence:.6f}"])
                written.images[record.split] = written.images.get(record.split, 0) + 1
                written.instances[record.split] = written.instances.get(record.split, 0) + len(record.instances)
        if not written.images:
            raise ExportError("there are no images to export; choose another view")
        (fresh / "data.yaml").write_text(_data_yaml(list(written.images), classes), "utf-8")
    return written


def _row(instance: Instance, classes: Sequence[str]) -> str:
    if instance.label not in classes:
        raise ExportError(f"instance of class '{instance.label}', expected one of {', '.join(classes)}")
    height, width = instance.mask.shape
    ring = bridge(instance.polygons, prune=True) / (width, height)
    return " ".join([str(list(classes).index(instance.label)), *(f"{value:.6f}" for value in ring.ravel())])


def _data_yaml(splits: Sequence[str], classes: Sequence[str]) -> str:
    # Splits of other names get no key, which could be one that readers act upon, such as "download".
    train = "train" if "train" in splits else splits[0]
    others = [name for name in ("val", "test", *splits) if name in splits and name != train]
    named = {"train": train, "val": others[0] if others else train}
    if "test" in splits:
        named["test"] = "test"
    content = {**{key: f"images/{name}" for key, name in named.items()}, "names": dict(enumerate(classes))}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
