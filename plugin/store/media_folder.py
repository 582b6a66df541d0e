"""The one folder of a dataset below which files are written and removed: made by this installation, for this dataset.

What a dataset itself says of folders and files came, for all that is known, with an import from elsewhere or from a
dataset that it was cloned from. It is read as data, and nothing is ever written or removed by it alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.fiftyone_private import set_info, slug
from diffucurate.plugin.store.field_names import INFO
from diffucurate.plugin.store.installation import MEDIA_FOLDER, abandon, all_kept, keep, kept
from diffucurate.plugin.store.named_files import named_among, named_below

#: Overrides the folder below which datasets made from now on keep their media.
MEDIA_DIR_VARIABLE = "DIFFUCURATE_MEDIA_DIR"


def media_root() -> Path:
    """The folder below which datasets made from now on keep their media."""
    base = os.environ.get(MEDIA_DIR_VARIABLE) or os.path.join(fo.config.default_dataset_dir, "diffucurate")
    return Path(os.path.abspath(os.path.expanduser(base)))


def media_folder(dataset: fo.Dataset) -> Path:
    """The dataset's own media folder, made at its first use.

    The first that was chosen stays the dataset's, unless it cannot be written to and no sample names a file in it.

    By default ``diffucurate/<dataset>`` below FiftyOne's default dataset folder, with a number where another dataset
    has that one. The name's slug is used, so no name leads out of it.

    Raises:
        DatasetError: it cannot be made or written to.
    """
    known = kept(dataset, MEDIA_FOLDER)
    try:
        if known is None or (not _usable(Path(known)) and named_below(Path(known)) is None):
            folder = _new_folder(slug(dataset.name))
            if keep(dataset, MEDIA_FOLDER, str(folder), instead_of=known):
                set_info(dataset, INFO, {MEDIA_FOLDER: str(folder)})
                return folder
            folder.rmdir()  # another process was first
            known = kept(dataset, MEDIA_FOLDER)
        Path(known).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(
            f"the media folder '{error.filename or known}' cannot be made: {error.strerror}; free it, or set "
            f"{MEDIA_DIR_VARIABLE} to another folder for new datasets"
        ) from error
    return Path(known)


def check_media_folder(dataset: fo.Dataset | None) -> None:
    """See that media can be written for a dataset, or for a new one; makes no folder, so forms can ask.

    Raises:
        DatasetError: they cannot.
    """
    known = None if dataset is None else kept(dataset, MEDIA_FOLDER)
    needed = known is not None and named_below(Path(known)) is not None
    folder = Path(known) if known is not None and needed else media_root()
    above = next((each for each in (folder, *folder.parents) if os.path.exists(each)), folder)
    if not (os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK)):
        raise DatasetError(
            f"the media folder '{folder}' cannot be written: nothing can be made in {above}; free it, or set "
            f"{MEDIA_DIR_VARIABLE} to another folder for new datasets"
        )


def media_folders() -> list[Path]:
    """The media folders of all datasets that there are."""
    return sorted(Path(folder) for folder in all_kept(MEDIA_FOLDER))


def _usable(folder: Path) -> bool:
    """Whether files can be written to a folder: one that nobody can, and no sample needs, is chosen anew."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def is_inside(path: str | os.PathLike[str], folder: Path) -> bool:
    """Whether a path is one of a file below ``folder``, by its letters and by where its links lead."""
    return Path(os.path.abspath(path)).is_relative_to(folder) and Path(os.path.realpath(path)).is_relative_to(
        os.path.realpath(folder)
    )


def remove_unnamed(paths: Iterable[str | None], folder: Path) -> None:
    """Remove those of ``paths`` that lie inside ``folder`` and that no sample of any dataset names (any more)."""
    inside = {path for path in paths if path is not None and is_inside(path, folder) and os.path.isfile(path)}
    for path in inside - named_among(inside):
        Path(path).unlink(missing_ok=True)


def _new_folder(name: str) -> Path:
    """A new folder below the media root, or that of a dataset that was deleted, where no other dataset needs it."""
    root = media_root()
    root.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = root / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            if named_below(folder) is None and abandon(MEDIA_FOLDER, str(folder)):
                return folder
        else:
            return folder
    raise AssertionError("there is always a next number")
