"""What keeps mosaics from being made as asked; writes nothing. The run begins here, and forms ask the same."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.mosaics.grids import GRIDS, Grid, check_grids
from diffucurate.plugin.store.labelled_together import check_labelled, labels_path
from diffucurate.plugin.store.samples import dataset_of


def check_mosaics(
    samples: fo.Dataset | fo.DatasetView,
    *,
    source: str,
    count: int = 100,
    grids: Sequence[Grid] = GRIDS,
    longest: int | None = None,
) -> None:
    """Refuse what ``mosaic`` with the same arguments cannot begin with.

    Raises:
        InvalidSetting: a count, length or grid out of range, or more cells in every grid than there are images.
        DatasetError: no labels of ``source``.
    """
    check_number("count", count)
    check_number("longest", longest)
    check_grids(grids)
    dataset = dataset_of(samples)
    check_labelled(samples, dataset, (source,))
    usable_grids(grids, len(samples.exists(labels_path(dataset, source))))


def check_number(name: str, value: int | None) -> None:
    """Refuse a value of ``count`` or ``longest`` that is out of range.

    Raises:
        InvalidSetting: of ``name``.
    """
    if value is not None and (not isinstance(value, int) or value < 1):
        raise InvalidSetting(name, value, "use a number above 0")


def usable_grids(grids: Sequence[Grid], images: int) -> list[tuple[int, int]]:
    """The grids that so many images can fill.

    Raises:
        InvalidSetting: there are none.
    """
    usable = [(int(rows), int(columns)) for rows, columns in grids if rows * columns <= images]
    if not usable:
        shown = ", ".join(f"{rows}x{columns}" for rows, columns in grids)
        raise InvalidSetting("grids", shown, f"all have more cells than there are labelled images, {images}")
    return usable
