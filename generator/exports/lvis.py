"""The LVIS format: COCO's, and for each image which classes it surely lacks and which are not told apart.

    images/<split>/<name>.png      copies, upright
    annotations/<split>.json       as COCO's, with run-length masks

``neg_category_ids`` are the classes that the image lacks although the labels have instances of them elsewhere: of a
class that occurs nowhere nobody knows whether it was looked for. ``not_exhaustive_category_ids`` are the classes of
regions of many objects. Regions themselves are left out: LVIS knows none. A class is rare, common or frequent
(``r``, ``c``, ``f``) by the images that show it, up to 10, up to 100 or more, in the split ``train`` as in LVIS itself,
or in all splits where there is none of that name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from diffucurate.generator.exports.about import About, write_readme
from diffucurate.generator.exports.annotation_file import AnnotationFile, info_of, licences_of
from diffucurate.generator.exports.coco import CocoWritten, categories_of, shape_of
from diffucurate.generator.exports.folder import replacing_folder
from diffucurate.generator.exports.images import ExportRecord, ImageFolder, checked_size

#: The split whose images say how frequent a class is.
_TRAIN = "train"


def write_lvis(
    records: Iterable[ExportRecord],
    folder: Path,
    classes: Sequence[str],
    *,
    overwrite: bool = False,
    link_images: bool = False,
    about: About | None = None,
) -> CocoWritten:
    """Write images and annotations, as ``write_coco`` does and with the same errors."""
    written = CocoWritten()
    licences = licences_of(about)
    licensed = {"license": 1} if licences else {}
    ids = {name: 1 + index for index, name in enumerate(classes)}
    shown: dict[str, Counter[int]] = {}  # split -> category -> images that show it
    with replacing_folder(folder, "lvis", overwrite=overwrite) as fresh, ExitStack() as open_files:
        images = ImageFolder(fresh, links=link_images)
        files: dict[str, AnnotationFile] = {}
        for record in records:
            path, split = images.add(record), record.split
            size = checked_size(path, record.instances, classes)
            if split not in files:
                files[split] = AnnotationFile(fresh / "annotations" / f"{split}.json", open_files)
            objects = [instance for index, instance in enumerate(record.instances) if index not in record.crowds]
            present = sorted({ids[instance.label] for instance in record.instances})
            unclear = sorted({ids[record.instances[index].label] for index in record.crowds})
            # Until the end ``neg_category_ids`` holds what is present: which classes occur at all is known then.
            files[split].add_image(
                files[split].images + 1,
                path,
                size,
                neg_category_ids=present,
                not_exhaustive_category_ids=unclear,
                **licensed,
            )
            for instance in objects:
                files[split].add(category_id=ids[instance.label], **shape_of(instance))
            shown.setdefault(split, Counter()).update({ids[instance.label] for instance in objects})
            written.add(split, (instance.label for instance in objects))
        written.require_images()
        everywhere = {category for counts in shown.values() for category in counts}
        categories = _categories(classes, about, written, shown)

        def name_absent(image: dict[str, Any]) -> None:
            image["neg_category_ids"] = sorted(everywhere.difference(image["neg_category_ids"]))

        for split, file in files.items():
            file.finish(change=name_absent, categories=categories, info=info_of(about), licenses=licences)
            written.annotations[split] = folder / "annotations" / f"{split}.json"
        write_readme(fresh, about, written)
    return written


def _categories(
    classes: Sequence[str], about: About | None, written: CocoWritten, shown: dict[str, Counter[int]]
) -> list[dict[str, Any]]:
    counted = [_TRAIN] if _TRAIN in shown else list(shown)
    categories = categories_of(classes, about)
    for category in categories:
        images = sum(shown[split][category["id"]] for split in counted)
        category |= {
            "synonyms": [category["name"]],
            "image_count": images,
            "instance_count": sum(written.classes[split][category["name"]] for split in counted),
            "frequency": "r" if images <= 10 else "c" if images <= 100 else "f",
        }
    return categories
