"""What an export wrote, listed in its own folder: a later export replaces these files and no others.

The list has the size and the time of each file, so a file that somebody changed since counts as somebody's own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from diffucurate.generator.errors import ExportError
from diffucurate.generator.files.atomic import replacing_file

#: The name of the list in the folder of an export.
MANIFEST = ".diffucurate-export.json"

#: The version of the list's form.
_VERSION = 1

#: Times of one file can differ by so many seconds after a rename: some file systems keep even seconds only.
_SAME_TIME = 2

#: How a file of NumPy's begins; Ultralytics keeps what it read of ``labels/<split>`` in such a file beside it.
_NUMPY = b"\x93NUMPY"


def begin(folder: Path, format: str) -> None:
    """Mark a folder as one of ours that is not complete yet."""
    _write(folder, format, complete=False, files=())


def complete(folder: Path, format: str) -> None:
    """List all files of a folder, whose export is complete with this."""

    def own() -> Iterator[tuple[str, list[float]]]:
        for path, _ in _files(folder):
            if path.name not in (MANIFEST, f"{MANIFEST}.part") or path.parent != folder:
                status = path.lstat()
                yield path.relative_to(folder).as_posix(), [status.st_size, status.st_mtime]

    _write(folder, format, complete=True, files=own())


def is_unfinished(folder: Path) -> bool:
    """Whether ``folder`` is an export that was begun and not completed."""
    content = _read(folder)
    return content is not None and content["complete"] is False


def is_complete(folder: Path) -> bool:
    """Whether ``folder`` is a complete export."""
    content = _read(folder)
    return content is not None and content["complete"] is True


def check_replaceable(folder: Path, format: str) -> None:
    """See that a folder holds nothing but what an earlier export of ``format`` wrote, unchanged.

    Ultralytics' caches of the labels that it read may go too, as they are made again.

    Raises:
        ExportError: it holds anything else, which is named, or no export of ours.
    """
    content = _read(folder)
    if content is None or content["complete"] is not True:
        item = min((path.name for path in folder.iterdir()), default="nothing")
        raise ExportError(
            f"{folder} holds '{item}', which is not part of a {format} export: no list ({MANIFEST}) says that "
            "an earlier one wrote it; name another folder"
        )
    if content["format"] != format:
        raise ExportError(f"{folder} holds an export to {content['format']}, not to {format}; name another folder")
    for path, is_link in _files(folder):
        if not _is_own(path, is_link, folder, content["files"]):
            name = path.relative_to(folder).as_posix()
            was = "was changed since it was exported" if name in content["files"] else "is no part of the export in it"
            raise ExportError(f"{folder} holds '{name}', which {was}; name another folder, or move the file away")


def remove_export(folder: Path) -> bool:
    """Remove what ``check_replaceable`` lets go, then the folders that are empty; whether nothing is left."""
    content = _read(folder)
    files = {} if content is None else content["files"]
    kept = 0
    for path, is_link in list(_files(folder)):
        if path == folder / MANIFEST:
            continue
        if _is_own(path, is_link, folder, files):
            path.unlink()
        else:
            kept += 1
    if kept:
        return False
    (folder / MANIFEST).unlink(missing_ok=True)
    for parent, _, _ in os.walk(folder, topdown=False):
        os.rmdir(parent)
    return True


def _is_own(path: Path, is_link: bool, folder: Path, files: dict[str, list[float]]) -> bool:
    name = path.relative_to(folder).as_posix()
    if name == MANIFEST:
        return True
    if is_link:
        return False
    if name in files:
        status, (size, time) = path.lstat(), files[name]
        return status.st_size == size and abs(status.st_mtime - time) <= _SAME_TIME
    splits = {PurePosixPath(other).parts[1] for other in files if other.startswith("labels/")}
    if path.parent != folder / "labels" or path.suffix != ".cache" or path.stem not in splits:
        return False
    with path.open("rb") as file:
        return file.read(len(_NUMPY)) == _NUMPY


def _files(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Every file below a folder, and whether it is a link; links to folders are not followed."""
    for parent, folders, names in os.walk(folder):
        for name in sorted([*names, *(name for name in folders if os.path.islink(os.path.join(parent, name)))]):
            path = Path(parent, name)
            yield path, path.is_symlink()


def _write(folder: Path, format: str, *, complete: bool, files: Iterable[tuple[str, list[float]]]) -> None:
    """Write the list file by file: that of an export of many images is long."""
    head = {"diffucurate": _VERSION, "format": format, "complete": complete}
    with replacing_file(folder / MANIFEST) as part, part.open("w", encoding="utf-8") as stream:
        stream.write("{\n" + "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items()))
        stream.write('"files": {')
        for index, (name, facts) in enumerate(files):
            stream.write((",\n" if index else "\n") + f"{json.dumps(name)}: {json.dumps(facts)}")
        stream.write("}\n}")


def _read(folder: Path) -> dict[str, Any] | None:
    """The content of a folder's list; None where there is none, or nothing that ``_write`` wrote."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text("utf-8")) if path.is_file() and not path.is_symlink() else None
        if not isinstance(content, dict) or content["diffucurate"] != _VERSION:
            return None
        files = {str(name): [float(size), float(time)] for name, (size, time) in content["files"].items()}
        return {"format": str(content["format"]), "complete": content["complete"], "files": files}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
