"""What keeps captions from being written as asked, before a model is loaded. Light: forms ask at every keystroke."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.models.names import locate_writer
from diffucurate.generator.recipe.checks import check_classes


def check_expansion(
    path: str | os.PathLike[str],
    *,
    model: str,
    classes: Mapping[str, Sequence[str]],
    overwrite: bool = False,
    **numbers: int,
) -> None:
    """Refuse what ``expand_captions`` with the same arguments cannot begin with; ``numbers`` are its whole numbers.

    Raises:
        InvalidSetting: classes or a number are wrong, or the file is there already or cannot be written.
        ModelError: there is no such model.
    """
    for name, value in numbers.items():
        least = 0 if name in ("shots", "seed") else 1
        if not isinstance(value, int) or value < least:
            raise InvalidSetting(name, value, f"use a whole number from {least} on")
    check_classes(classes)
    check_path(Path(path), overwrite=overwrite)
    locate_writer(model)


def check_path(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that captions cannot be written to.

    Raises:
        InvalidSetting: of ``path``.
    """
    if path.suffix.lower() != ".json" or path.is_dir():
        raise InvalidSetting("path", str(path), "name a file that ends in .json")
    if os.path.exists(path) and not overwrite:
        raise InvalidSetting("path", str(path), "the file is there already; name another, or replace it")
    # os.path, since Path.exists raises where a folder on the way may not be searched.
    above = next((each for each in path.absolute().parents if os.path.exists(each)), path.parent)
    if not (os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK)):
        raise InvalidSetting("path", str(path), f"nothing can be written in {above}; name a file somewhere else")
