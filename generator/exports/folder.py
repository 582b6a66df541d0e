"""What all formats share: records, and a target folder that is replaced whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.splits import check_split_name
from diffucurate.generator.labels.model import Instance


@dataclass(frozen=True, eq=False)
class ExportRecord:
    """One image to export: its file, its instances (none is legal) and the split it belongs to."""

    image_path: Path
    instances: Sequence[Instance]
    split: str = "train"


@dataclass
class Written:
    """What an export holds: the number of images and of instances per split."""

    images: dict[str, int] = field(default_factory=dict)
    instances: dict[str, int] = field(default_factory=dict)


@contextmanager
def replacing_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A new folder to write to. It replaces ``target`` when the block ends, and is removed when the block raises.

    Raises:
        ExportError: ``target`` is a file, or a folder that is not empty without ``overwrite``; or the folder
            cannot be written.
    """
    if target.exists() and not target.is_dir():
        raise ExportError(f"{target} is a file; name a folder to export to")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise ExportError(f"{target} is not empty; name another folder or pass overwrite=True")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror}") from error
    try:
        yield fresh
        fresh.chmod(0o777 & ~_umask())  # mkdtemp makes folders for their owner only
        if target.exists():
            outdated = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
            target.rename(outdated / target.name)
            fresh.rename(target)
            shutil.rmtree(outdated)
        else:
            fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


class ImageFolder:
    """Puts images into ``folder/images/<split>/``, linked where the file system can and copied where not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[tuple[str, str]] = set()

    def add(self, record: ExportRecord) -> Path:
        """The image's new path. A name that is taken gets a number: images of several folders may share one.

        Raises:
            ExportError: the image is not there, or the split's name is no plain folder name.
        """
        check_split_name(record.split)
        stem, suffix = record.image_path.stem, record.image_path.suffix
        name, number = stem, 1
        while (record.split, name.casefold()) in self._taken:  # labels go by stem; some systems ignore case
            number += 1
            name = f"{stem}-{number}"
        self._taken.add((record.split, name.casefold()))
        path = self._folder / "images" / record.split / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        source = record.image_path.resolve()
        try:
            os.link(source, path)
        except FileNotFoundError as error:
            raise ExportError(f"image {record.image_path} is not there; export a view without it") from error
        except OSError:
            shutil.copyfile(source, path)
        return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
