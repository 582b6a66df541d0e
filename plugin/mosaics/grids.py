"""The grids of mosaics, as people write them. Light: forms and the command line ask it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from diffucurate.generator.errors import InvalidSetting

#: Rows and columns.
Grid = tuple[int, int]

#: DiffuMask's.
GRIDS: tuple[Grid, ...] = ((1, 2), (2, 1), (2, 2), (3, 3), (5, 5), (8, 8))

#: More rows or columns leave nothing of most objects.
MOST = 16


def parse_grids(texts: Sequence[str]) -> tuple[Grid, ...]:
    """``["1x2", "2x2"]`` as rows and columns.

    Raises:
        InvalidSetting: a text of another form.
    """
    grids = []
    for text in texts:
        match = re.fullmatch(r"\s*(\d{1,2})\s*x\s*(\d{1,2})\s*", text)
        if match is None:
            raise InvalidSetting("grids", text, "give rows and columns, as in 2x2")
        grids.append((int(match[1]), int(match[2])))
    check_grids(grids)
    return tuple(grids)


def check_grids(grids: Sequence[Grid]) -> None:
    """See that there are grids, each of at least two cells.

    Raises:
        InvalidSetting: there are none, or one of a single cell or of too many.
    """
    if not grids:
        raise InvalidSetting("grids", list(grids), "name at least one, such as 2x2")
    for grid in grids:
        sides = tuple(grid) if isinstance(grid, list | tuple) else ()
        valid = len(sides) == 2 and all(isinstance(side, int) and 1 <= side <= MOST for side in sides)
        if not valid or sides == (1, 1):
            raise InvalidSetting("grids", _shown(grid), f"give rows and columns of 1 to {MOST}, of two cells at least")


def _shown(grid: Any) -> str:
    return "x".join(map(str, grid)) if isinstance(grid, list | tuple) else str(grid)
