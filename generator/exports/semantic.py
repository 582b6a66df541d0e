"""Semantic masks as PNG files with a palette, beside their images.

images/<split>/<name>.png      copies, upright
masks/<split>/<name>.png       class ids, 0 background, 255 ignored
classes.csv                    id, name, red, green, blue of every value
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from diffucurate.generator.exports.about import About, write_readme
from diffucurate.generator.exports.folder import Written, replacing_folder
from diffucurate.generator.exports.images import ExportRecord, ImageFolder, checked_size
from diffucurate.generator.exports.masks import class_mask
from diffucurate.generator.exports.palette import palette, write_mask
from diffucurate.generator.labels.model import IGNORE


def write_semantic(
    records: Iterable[ExportRecord],
    folder: Path,
    classes: Sequence[str],
    *,
    overwrite: bool = False,
    link_images: bool = False,
    about: About | None = None,
) -> Written:
    """Write images and masks of class ids. Records are taken one at a time and may be a generator.

    The folder appears complete or not at all. Class ids are 1 + the index in ``classes``. Images are copied, or hard
    links with ``link_images``. ``about`` adds a README.md.

    Raises:
        ExportError: the folder is not empty and ``overwrite`` is not set, or holds more than an earlier export; there
            are no records, or more than 254 classes; an image is missing, unreadable or of another size than its
            masks; an instance's class is not in ``classes``.
    """
    written = Written()
    with replacing_folder(folder, "semantic", overwrite=overwrite) as fresh:
        images = ImageFolder(fresh, links=link_images)
        for record in records:
            path = images.add(record)
            size = checked_size(path, record.instances, classes)
            mask = class_mask(record.semantic, record.instances, classes, size)
            write_mask(fresh / "masks" / record.split / f"{path.stem}.png", mask)
            written.add(record.split, (instance.label for instance in record.instances))
        written.require_images()
        with (fresh / "classes.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["id", "name", "red", "green", "blue"])
            for value, name in [(0, "background"), *enumerate(classes, 1), (IGNORE, "ignore")]:
                rows.writerow([value, name, *palette()[value].tolist()])
        write_readme(fresh, about, written)
    return written
