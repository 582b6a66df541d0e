"""The target folder of an export, which is replaced whole or not at all, whenever the process may be killed.

Beside a target ``out`` the new export grows in a hidden folder ``.out-new-...``; the earlier one waits in
``.out-old-...`` while the new one takes its place. A lock on its folder says that an export still lives, so the next
export to the same target clears what a killed one left, and restores an earlier export that has lost its place.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports import manifest
from diffucurate.generator.files.locks import locked_folder

logger = logging.getLogger(__name__)


@dataclass
class Written:
    """What an export holds: the number of images and of instances per split, and of instances per split and class."""

    images: dict[str, int] = field(default_factory=dict)
    instances: dict[str, int] = field(default_factory=dict)
    classes: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, split: str, labels: Iterable[str]) -> None:
        """Count one image with instances of these classes."""
        counts = Counter(labels)
        self.images[split] = self.images.get(split, 0) + 1
        self.instances[split] = self.instances.get(split, 0) + counts.total()
        self.classes.setdefault(split, Counter()).update(counts)

    def require_images(self) -> None:
        """Raise an ExportError unless an image was counted."""
        if not self.images:
            raise ExportError("there are no images to export; choose another view")


@contextmanager
def replacing_folder(target: Path, format: str, *, overwrite: bool) -> Iterator[Path]:
    """A new folder to write to. It becomes ``target`` when the block ends, and is removed when the block raises.

    With ``overwrite`` an earlier export of ``format`` in ``target`` is replaced: the files that it lists as its own,
    none of which may have been changed since.

    Raises:
        ExportError: ``target`` is a file, a folder that is not empty without ``overwrite``, or one with anything but an
            earlier export; or the folder cannot be written.
    """
    target = Path(os.path.realpath(target))
    recover(target)
    check_target(target, format, overwrite=overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=_prefix(target, "new"), dir=target.parent))
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror}") from error
    with locked_folder(fresh):
        try:
            manifest.begin(fresh, format)
            yield fresh
            manifest.complete(fresh, format)
            fresh.chmod(0o777 & ~_umask())  # mkdtemp makes folders for their owner only
            check_target(target, format, overwrite=overwrite)  # which may have changed meanwhile
            _put_in_place(fresh, target)
        except OSError as error:
            raise ExportError(f"{error.filename or target} cannot be written: {error.strerror or error}") from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def check_target(target: Path, format: str, *, overwrite: bool) -> None:
    """Refuse a target that is not ours to write.

    Raises:
        ExportError: it is a file, a folder that is not empty without ``overwrite``, or holds anything but an earlier
            export of ``format``.
    """
    if os.path.exists(target) and not os.path.isdir(target):
        raise ExportError(f"{target} is a file; name a folder to export to")
    if not os.path.isdir(target):
        return
    try:
        empty = not any(target.iterdir())
    except OSError as error:
        raise ExportError(f"{target} cannot be read: {error.strerror}; name another folder") from error
    if not empty and overwrite:
        manifest.check_replaceable(target, format)
    elif not empty:
        raise ExportError(f"{target} is not empty; overwrite it or name another folder")


def recover(target: Path) -> int:
    """Clear what killed exports to ``target`` left beside it; returns the number of folders.

    An earlier export that a killed one had moved aside, and nothing in its place, is moved back.
    """
    count = 0
    for aside in sorted(target.parent.glob(f"{_escaped(_prefix(target, 'old'))}*")):
        moved = aside / target.name
        if manifest.is_complete(moved) and not target.exists():
            moved.rename(target)
            logger.warning("%s: restored the export that a killed one had moved aside", target)
        elif manifest.is_complete(moved) and not manifest.remove_export(moved):
            continue
        if not any(aside.iterdir()):
            aside.rmdir()
            count += 1
    for unfinished in sorted(target.parent.glob(f"{_escaped(_prefix(target, 'new'))}*")):
        with locked_folder(unfinished) as free:
            ours = manifest.is_unfinished(unfinished) or manifest.is_complete(unfinished)
            if free and ours:
                shutil.rmtree(unfinished, ignore_errors=True)
                count += 1
    return count


def left_behind(target: Path) -> list[Path]:
    """The folders that killed exports to ``target`` left beside it, which ``recover`` clears."""
    aside = [
        folder
        for folder in target.parent.glob(f"{_escaped(_prefix(target, 'old'))}*")
        if manifest.is_complete(folder / target.name) or not any(folder.iterdir())
    ]
    unfinished = []
    for folder in target.parent.glob(f"{_escaped(_prefix(target, 'new'))}*"):
        with locked_folder(folder) as free:
            if free and (manifest.is_unfinished(folder) or manifest.is_complete(folder)):
                unfinished.append(folder)
    return sorted([*aside, *unfinished])


def _put_in_place(fresh: Path, target: Path) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=_prefix(target, "old"), dir=target.parent))
    moved = aside / target.name
    target.rename(moved)
    try:
        fresh.rename(target)
    except OSError:
        moved.rename(target)
        aside.rmdir()
        raise
    if not any(moved.iterdir()):
        moved.rmdir()
    elif not manifest.remove_export(moved):
        logger.warning("%s holds files that came to the earlier export meanwhile; they were kept", moved)
        return
    aside.rmdir()


def _prefix(target: Path, state: str) -> str:
    return f".{target.name}-{state}-"


def _escaped(text: str) -> str:
    """A text as a pattern that matches nothing else."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in text)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
