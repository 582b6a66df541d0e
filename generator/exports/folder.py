"""What all formats share: records, splits, and a target folder that is replaced whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

from diffucurate.generator.errors import ExportError
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


def assign_splits(ids: Iterable[str], fractions: Mapping[str, float]) -> dict[str, str]:
    """A split for each id, by the order of the ids' hashes: neither the order nor the company of runs matters.

    The sizes are exact: each is its fraction of the number of ids, rounded so that they add up (largest remainder).

    Raises:
        ExportError: no splits, a fraction that is not above 0, fractions that do not add up to 1, or a name that
            is no plain folder name.
    """
    if not fractions or any(share <= 0 for share in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ExportError(f"splits are {dict(fractions)}: give each a share above 0, with a sum of 1")
    for name in fractions:
        check_split_name(name)
    order = sorted(set(ids), key=lambda value: (sha256(value.encode()).digest(), value))
    exact = {name: Fraction(share).limit_denominator(10**6) * len(order) for name, share in fractions.items()}
    sizes = {name: int(size) for name, size in exact.items()}
    by_remainder = sorted(fractions, key=lambda name: sizes[name] - exact[name])
    for name in by_remainder[: len(order) - sum(sizes.values())]:
        sizes[name] += 1
    names = [name for name, size in sizes.items() for _ in range(size)]
    return dict(zip(order, names, strict=True))


def check_split_name(name: str) -> None:
    """Raise an ExportError unless ``name`` is a plain folder name."""
    if not name or name in (".", "..") or Path(name).name != name or "\\" in name:
        raise ExportError(f"split '{name}': use a plain name such as 'train'")


@contextmanager
def replacing(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A new folder to write to, which becomes ``target`` when all went well and is removed when not.

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
        """The image's new path. Names that are taken get a number, for images of several folders may share one.

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
