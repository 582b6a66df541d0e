"""Which files the samples of all datasets name: as their image, or as a mask, a map or anything else in a text field.

Knows what the database holds, and neither reads nor removes a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from diffucurate.plugin.fiftyone_private import names_in_samples


def named_below(folder: Path) -> tuple[str, str] | None:
    """A dataset with a sample that names a file below ``folder``, and the file; None where no sample does."""
    above = _spellings(str(folder))
    condition = {"$regex": "^(?:" + "|".join(re.escape(f"{path}{os.sep}") for path in above) + ")"}
    for dataset, text in names_in_samples(condition):
        if any(text.startswith(f"{path}{os.sep}") for path in above):
            return dataset, text
    return None


def named_among(paths: Iterable[str]) -> set[str]:
    """Those of ``paths`` that a sample of any dataset names."""
    spelled = {spelling: path for path in paths for spelling in _spellings(path)}
    texts = {text for _, text in names_in_samples({"$in": list(spelled)})} if spelled else set()
    return {path for spelling, path in spelled.items() if spelling in texts}


def _spellings(path: str) -> set[str]:
    return {path, os.path.abspath(path), os.path.realpath(path)}
