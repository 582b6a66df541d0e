"""Copies of files. Knows only paths."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Linux's request to share the blocks of a file until one of both is written to (FICLONE).
_CLONE = 0x40049409


def copy_file(source: Path, target: Path) -> None:
    """Copy the content of ``source`` to a new file ``target``: at no cost where the file system can share blocks.

    Writing to either file never changes the other.

    Raises:
        OSError: ``source`` cannot be read, or ``target`` not written.
    """
    if not _cloned(source, target):
        shutil.copyfile(source, target)


def _cloned(source: Path, target: Path) -> bool:
    if fcntl is None or not hasattr(fcntl, "ioctl") or os.uname().sysname != "Linux":
        return False
    with source.open("rb") as original, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), _CLONE, original.fileno())
        except OSError:  # other file system, or one that cannot
            return False
    return True
