"""Parquet files with the images in them, as Hugging Face's ``datasets`` reads and writes them.

    data/<split>-00000-of-00001.parquet    image (its file's bytes and name), text, width, height, objects
    README.md                              the datasheet, headed by the splits and their files
    croissant.json                         the same for machines

The columns are those of ``huggingface``; their types, the names of the classes among them, are in the files' metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from diffucurate.generator.exports import croissant
from diffucurate.generator.exports.about import About, write_readme
from diffucurate.generator.exports.folder import Written, replacing_folder
from diffucurate.generator.exports.huggingface_card import check_split, front_matter
from diffucurate.generator.exports.huggingface_fields import fields_of_rows
from diffucurate.generator.exports.huggingface_rows import features, row_of
from diffucurate.generator.exports.images import ExportRecord, ImageFolder, checked_size

#: Images in a row group: what a reader, and this writer, holds in memory at once.
_ROWS_AT_ONCE = 100


def write_parquet(
    records: Iterable[ExportRecord],
    folder: Path,
    classes: Sequence[str],
    *,
    overwrite: bool = False,
    link_images: bool = False,
    about: About | None = None,
) -> Written:
    """Write one file per split. Records are taken one at a time and may be a generator.

    The folder appears complete or not at all. Category ids are the indices in ``classes``, from 0. ``link_images``
    changes nothing in the files. ``about`` fills the descriptions and adds the datasheet.

    Raises:
        ExportError: the folder is not empty and ``overwrite`` is not set, or holds more than an earlier export; there
            are no records; a split's name is none that ``datasets`` reads; an image is missing, unreadable or of
            another size than its masks; an instance's class is not in ``classes``.
        ImportError: pyarrow is not installed.
    """
    written, about = Written(), about or About()
    with replacing_folder(folder, "parquet", overwrite=overwrite) as fresh:
        (fresh / "data").mkdir()
        with ExitStack() as open_files:
            images = ImageFolder(fresh, links=link_images)
            files: dict[str, _SplitFile] = {}
            for record in records:
                check_split(record.split)
                path = images.add(record)
                size = checked_size(path, record.instances, classes)
                if record.split not in files:
                    target = fresh / "data" / f"{record.split}-00000-of-00001.parquet"
                    files[record.split] = open_files.enter_context(_SplitFile(target, classes))
                image = {"bytes": path.read_bytes(), "path": path.name}
                path.unlink()
                files[record.split].add({"image": image, **row_of(record, classes, size)})
                written.add(record.split, (instance.label for instance in record.instances))
        written.require_images()
        for split in written.images:
            (fresh / "images" / split).rmdir()
        (fresh / "images").rmdir()
        paths = {split: file.path for split, file in files.items()}
        _describe(fresh, about, paths)
        patterns = {split: path.relative_to(fresh).as_posix() for split, path in paths.items()}
        write_readme(fresh, about, written, front_matter=front_matter(about, patterns))
    return written


class _SplitFile:
    """A Parquet file that is written in row groups."""

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        self.path = path
        types = features(classes)
        metadata = {"huggingface": json.dumps({"info": {"features": types}})}
        fields = [(name, _arrow_type(kind)) for name, kind in types.items()]
        self._schema = pyarrow.schema(fields, metadata=metadata)
        self._file = ParquetWriter(path, self._schema)
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> _SplitFile:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._flush()
        finally:
            self._file.close()

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if self._rows:
            self._file.write_table(pyarrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


def _arrow_type(kind: dict[str, Any]) -> Any:
    """Arrow's type of a column, of its type as ``features`` has it."""
    import pyarrow

    match kind.get("_type"):
        case "Image":
            return pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
        case "ClassLabel":
            return pyarrow.int64()
        case "Value":
            return pyarrow.type_for_alias(kind["dtype"])
        case "List":
            return pyarrow.list_(_arrow_type(kind["feature"]), kind.get("length", -1))
        case _:
            return pyarrow.struct({name: _arrow_type(each) for name, each in kind.items()})


def _describe(folder: Path, about: About, paths: dict[str, Path]) -> None:
    """Write the Croissant file: one set of records per split."""
    files, records = [], []
    for split, path in paths.items():
        file = croissant.file_object(folder, path, "application/x-parquet")
        image = croissant.field(split, "image", file, "sc:ImageObject")
        image["source"] |= {"transform": {"jsonPath": "bytes"}}
        files.append(file)
        records.append(croissant.record_set(split, [image, *fields_of_rows(split, file)]))
    croissant.write_croissant(folder, about, files, records)
