"""The media files of runs that were killed: those of a run that died, and those that it had replaced.

A run that writes files holds the lock of a folder of its own, ``running/<run key>`` below the media folder, which ends
with its process. So the next run finds which of its predecessors died, and in it the list of the files that they were
about to replace. A file is removed only where its name is one of ours and no sample of any dataset names it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffucurate.generator.files.locks import locked_folder
from diffucurate.plugin.store.media_folder import remove_unnamed
from diffucurate.plugin.store.named_files import named_among

_MARKS = "running"
#: In a run's folder: a path on each line.
_REPLACED = "replaced.txt"

#: ``<id>-<run key>`` and an ending, half written or whole.
_OURS = re.compile(r".+-[a-z_]+_\d{8}_\d{6}(_\d{6})?(_[0-9a-f]{4})?\.(png|safetensors)(\.part)?")

#: Files that are younger may be those of a run that lives and has not saved their samples yet.
YOUNG_SECONDS = 3600

#: The folder of painted images: a person may have deleted their samples and kept the files.
_IMAGES = "images"

#: Files whose names are looked up at once.
_AT_ONCE = 10_000


@contextmanager
def marked_run(folder: Path, key: str) -> Iterator[None]:
    """A block in which the run ``key`` writes files below a media folder; what runs that were killed left there is
    removed first."""
    clear_dead_runs(folder)
    mark = folder / _MARKS / key
    mark.mkdir(parents=True, exist_ok=True)
    with locked_folder(mark):
        try:
            yield
        finally:
            _remove_mark(mark)


def note_replaced(folder: Path, key: str, paths: Iterable[str]) -> None:
    """Note files that the run ``key`` is about to replace, so that the next run removes them where this one dies."""
    mark, lines = folder / _MARKS / key, [f"{path}\n" for path in paths]
    if lines and mark.is_dir():
        with (mark / _REPLACED).open("a", encoding="utf-8") as file:
            file.writelines(lines)


def clear_dead_runs(folder: Path) -> None:
    """Remove what runs that were killed left below a media folder: their own files, and labels that they replaced."""
    for mark in sorted((folder / _MARKS).glob("*")):
        with locked_folder(mark) as died:
            if not died or not mark.name.isidentifier():
                continue
            own = [str(path) for path in folder.glob(f"*/*-{mark.name}.*")]
            before = min(mark.stat().st_mtime, time.time() - YOUNG_SECONDS)
            replaced = [str(path) for path in _written_before(folder, before) if path.parent.name != _IMAGES]
            remove_unnamed([*own, *_noted(mark), *replaced], folder)
            _remove_mark(mark)


def _noted(mark: Path) -> list[str]:
    """The files that a run noted, those of them that bear a name of ours; a line half written is none."""
    try:
        lines = (mark / _REPLACED).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line for line in lines if _OURS.fullmatch(os.path.basename(line))]


def _remove_mark(mark: Path) -> None:
    with suppress(OSError):
        (mark / _REPLACED).unlink(missing_ok=True)
        mark.rmdir()


def stray_files(folder: Path) -> list[Path]:
    """The files below a media folder that no sample of any dataset names, unless a run may still be writing them."""
    old = [str(path) for path in _written_before(folder, time.time() - YOUNG_SECONDS)]
    stray: list[Path] = []
    for start in range(0, len(old), _AT_ONCE):
        part = old[start : start + _AT_ONCE]
        named = named_among(part)
        stray += [Path(path) for path in part if path not in named]
    return stray


def _written_before(folder: Path, moment: float) -> Iterator[Path]:
    """Files that bear a name of ours and were last written before ``moment``, in seconds since 1970."""
    for path in sorted(folder.glob("*/*")):
        if _OURS.fullmatch(path.name) and os.path.isfile(path) and path.lstat().st_mtime < moment:
            yield path
