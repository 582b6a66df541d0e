"""Files that are written whole or not at all. Knows only paths and bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to, whose file becomes ``path`` when the block ends without an error.

    Until then a reader sees the old file, or none. The temporary file lies in the same folder, because a rename is
    atomic only within one file system. After an error it is removed; what a killed process left, the next that writes
    ``path`` writes over, as its name is always the same. The folder is made where there is none.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # as of a full disk, which names no file
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write ``content`` to ``path``, whole or not at all; returns ``path``. Errors as for ``replacing_file``."""
    with replacing_file(path) as part:
        part.write_bytes(content)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all; returns ``path``. Errors as for ``replacing_file``."""
    return write_bytes(path, text.encode())
