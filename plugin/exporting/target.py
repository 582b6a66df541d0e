"""The folder of an export: whether it may be written, before anything is."""

from __future__ import annotations

import os
from pathlib import Path

from diffucurate.generator.errors import ExportError
from diffucurate.plugin.store.named_files import named_below


def check_folder(folder: Path, format: str, overwrite: bool) -> None:
    """Refuse a folder that cannot be written, or that holds something else, such as a home directory named by mistake.

    Quick enough for forms; ``prepare_folder`` checks more.

    Raises:
        ExportError: it is a file, not empty without ``overwrite``, not writable, or holds more than an earlier export.
    """
    from diffucurate.generator.exports.folder import check_target

    folder = Path(os.path.realpath(folder))
    above = existing_parent(folder)
    if not os.path.isfile(folder) and not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
        raise ExportError(f"nothing can be written in {above}; name a folder somewhere else")
    check_target(folder, format, overwrite=overwrite)


def prepare_folder(folder: Path, format: str, overwrite: bool) -> None:
    """Put right what a killed export left beside a folder, then refuse one that cannot be written or replaced.

    Raises:
        ExportError: as ``check_folder``, or a sample of any dataset names a file in it.
    """
    from diffucurate.generator.exports.folder import recover

    recover(Path(os.path.realpath(folder)))
    check_folder(folder, format, overwrite)
    check_unnamed(folder)


def check_unnamed(folder: Path) -> None:
    """Refuse a folder that holds files which samples of any dataset name.

    Raises:
        ExportError: with one of them.
    """
    folder = Path(os.path.realpath(folder))
    if os.path.isdir(folder) and (named := named_below(folder)):
        dataset, path = named
        raise ExportError(f"{folder} holds '{path}', an image or label of dataset '{dataset}'; name another folder")


def existing_parent(folder: Path) -> Path:
    """The nearest folder above ``folder`` that exists: an export is put in its place whole, so it must be writable."""
    # os.path, since Path.exists raises where a folder on the way may not be searched.
    return next((parent for parent in folder.parents if os.path.exists(parent)), folder)
