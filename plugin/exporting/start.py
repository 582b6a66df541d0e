"""What keeps samples from being exported as asked, before anything is written.

Every run begins here, and forms ask the same at every keystroke.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import fiftyone as fo
from humanize import naturalsize

from diffucurate.generator.errors import ExportError
from diffucurate.plugin.curation.relatives import split_samples
from diffucurate.plugin.exporting.size import ExportSize, estimate_size

#: Up to so many samples are split before anything is done, to see whether each part gets some.
SPLIT_AT_ONCE = 2_000


def check_room(
    samples: fo.Dataset | fo.DatasetView,
    folder: Path,
    *,
    format: str,
    source: str,
    classes: Sequence[str] | None = None,
    link_images: bool = False,
) -> ExportSize:
    """The expected size of an export that its disk has room for.

    Raises:
        ExportError: it has not.
        DatasetError, InvalidSetting: as ``estimate_size``.
    """
    size = estimate_size(samples, folder, format=format, source=source, classes=classes, link_images=link_images)
    if not size.fits:
        needed, free = naturalsize(size.needed_bytes), naturalsize(size.free_bytes)
        raise ExportError(f"about {needed} are needed and {free} are free in {folder}; choose a folder on another disk")
    return size


def split_evenly(
    dataset: fo.Dataset, ids: Sequence[str], splits: Mapping[str, float], together: Sequence[str]
) -> dict[str, str]:
    """Sample id -> its split, of splits that all get some.

    Raises:
        ExportError: one gets none, or the shares make no sense.
        InvalidSetting: an unknown kind of relatives.
    """
    chosen = split_samples(dataset, ids, splits, together)
    for name in splits:
        if name not in chosen.values():
            raise ExportError(f"split '{name}' gets none of {len(chosen)} images; give it more, or leave it out")
    return chosen
