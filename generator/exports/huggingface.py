"""A folder of images as Hugging Face's ``datasets`` loads it: ``load_dataset("imagefolder")``'s layout.

    images/<split>/<name>.png           copies, upright
    images/<split>/metadata.jsonl       one line per image: file_name, text (its prompt), width, height, objects
    README.md                           the datasheet, headed by the splits and their files
    croissant.json                      the same for machines

``objects`` holds lists with an entry per instance: ``bbox`` [x, y, width, height] in pixels, ``categories`` (ids from
0) and their names as ``labels``, ``area`` in pixels, ``confidence``, ``iscrowd`` and ``segmentation``, the mask in
COCO's run-length code.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports import croissant
from diffucurate.generator.exports.about import About, write_readme
from diffucurate.generator.exports.folder import Written, replacing_folder
from diffucurate.generator.exports.huggingface_card import check_split, front_matter
from diffucurate.generator.exports.huggingface_fields import fields_of_rows
from diffucurate.generator.exports.huggingface_rows import row_of
from diffucurate.generator.exports.images import ExportRecord, ImageFolder, checked_size

#: The file of each split's rows, beside its images.
METADATA = "metadata.jsonl"


def write_huggingface(
    records: Iterable[ExportRecord],
    folder: Path,
    classes: Sequence[str],
    *,
    overwrite: bool = False,
    link_images: bool = False,
    about: About | None = None,
) -> Written:
    """Write images and their rows. Records are taken one at a time and may be a generator.

    The folder appears complete or not at all. Category ids are the indices in ``classes``, from 0. Images are copied,
    or hard links with ``link_images``. ``about`` fills the descriptions and adds the datasheet.

    Raises:
        ExportError: the folder is not empty and ``overwrite`` is not set, or holds more than an earlier export; there
            are no records; a split's name is none that ``datasets`` reads, or one split alone has no instances; an
            image is missing, unreadable or of another size than its masks; an instance's class is not in ``classes``.
    """
    written, about = Written(), about or About()
    with replacing_folder(folder, "huggingface", overwrite=overwrite) as fresh:
        with ExitStack() as open_files:
            images = ImageFolder(fresh, links=link_images)
            files: dict[str, TextIO] = {}
            endings: dict[str, set[str]] = {}
            for record in records:
                check_split(record.split)
                path = images.add(record)
                size = checked_size(path, record.instances, classes)
                if record.split not in files:
                    metadata = path.with_name(METADATA)
                    files[record.split] = open_files.enter_context(metadata.open("x", encoding="utf-8"))
                row = {"file_name": path.name, **row_of(record, classes, size)}
                files[record.split].write(json.dumps(row, ensure_ascii=False) + "\n")
                endings.setdefault(record.split, set()).add(path.suffix)
                written.add(record.split, (instance.label for instance in record.instances))
        written.require_images()
        _check_types(written)
        _describe(fresh, about, endings)
        patterns = {split: f"images/{split}/*" for split in written.images}
        write_readme(fresh, about, written, front_matter=front_matter(about, patterns))
    return written


def _check_types(written: Written) -> None:
    """Refuse splits of which some have instances and some none: lists that are all empty have no type."""
    empty = [split for split, count in written.instances.items() if not count]
    if empty and len(empty) < len(written.instances):
        raise ExportError(
            f"split '{empty[0]}' has no objects and others have: Hugging Face's datasets takes the types of columns "
            "from the rows and refuses rows that differ; export to parquet, which keeps types, or choose other splits"
        )


def _describe(folder: Path, about: About, endings: Mapping[str, Collection[str]]) -> None:
    """Write the Croissant file: per split the rows, and the images that they name; ``endings`` of their file names."""
    files: list[croissant.Node] = []
    records = []
    for split, suffixes in endings.items():
        rows = croissant.file_object(folder, folder / "images" / split / METADATA, "application/jsonlines")
        images = croissant.file_set(
            f"images-{split}", {f"images/{split}/*{suffix}": _media_type(suffix) for suffix in sorted(suffixes)}
        )
        files += [rows, images]
        name = {"fileSet": {"@id": images["@id"]}, "extract": {"fileProperty": "filename"}}
        content = {"fileSet": {"@id": images["@id"]}, "extract": {"fileProperty": "content"}}
        fields = [croissant.field(split, "file_name", rows, "sc:Text"), *fields_of_rows(split, rows)]
        fields[0]["references"] = name
        fields.append({**croissant.field(split, "image", images, "sc:ImageObject"), "source": content})
        records.append(croissant.record_set(split, fields))
    croissant.write_croissant(folder, about, files, records)


def _media_type(suffix: str) -> str:
    return mimetypes.guess_type(f"x{suffix}")[0] or "image/*"
