"""What trained segmenters are called, and whether a name is free. Light: forms ask it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.segmenters.files import SegmenterFiles


def default_name(dataset: str, source: str) -> str:
    """The name of a segmenter's files: the dataset's and the source's, in letters that any file system takes."""
    return re.sub(r"[^\w.-]+", "-", f"{dataset}-{source}").lstrip(".") or source


def check_files(files: SegmenterFiles, asked: Mapping[str, Any], *, overwrite: bool) -> None:
    """See that training may write there: nothing of that name is there, or what a stopped run of the same call left.

    Args:
        files: that will be written.
        asked: dataset, source, classes and settings of the call.
        overwrite: whether an earlier segmenter goes.

    Raises:
        InvalidSetting: the name is taken.
    """
    earlier = files.read_facts()
    if overwrite or not (earlier or files.weights.exists()):
        return
    if files.weights.exists() and "figures" in earlier:
        remedy = f"a segmenter of that name is there ({files.weights}); choose another name, or replace it"
        raise InvalidSetting("name", files.name, remedy)
    changed = [key for key in asked if earlier.get(key) != asked[key]]
    if changed:
        remedy = (
            f"a run of that name was stopped that had other {' and '.join(changed)}; give the same to go on, choose "
            "another name, or replace it"
        )
        raise InvalidSetting("name", files.name, remedy)
