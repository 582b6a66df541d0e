"""Layouts: where in an image each class is to be, at the image's size and at that of any layer."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import ImageError
from diffucurate.generator.labels.model import IGNORE


@dataclass(frozen=True, eq=False)
class Layout:
    """``ids`` is (H, W) uint8: 0 none of the classes, ``1 + index`` in ``classes``, 255 anything.

    Raises:
        ImageError: no pixel has a class, or one has a class that there is not.
    """

    ids: NDArray[np.uint8]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        named = self.ids[self.ids != IGNORE]
        if not named.any():
            raise ImageError("the mask has none of the classes, so there is nothing to paint by it")
        if int(named.max()) > len(self.classes):
            raise ImageError(f"the mask holds class id {int(named.max())}, but there are {len(self.classes)} classes")

    @property
    def present(self) -> tuple[str, ...]:
        """The classes that pixels have, the largest first."""
        counts = {label: int(np.count_nonzero(self.ids == 1 + index)) for index, label in enumerate(self.classes)}
        return tuple(sorted((label for label in counts if counts[label]), key=lambda label: -counts[label]))

    def at(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """``ids`` at (height, width) ``size``: each cell has the id that covers most of it.

        A class that would be in no cell that way has the cell that it covers most of.
        """
        values = np.unique(self.ids)
        shares = np.stack([_shares(self.ids == value, size) for value in values])
        cells: NDArray[np.uint8] = values[shares.argmax(axis=0)]
        for value, share in zip(values, shares, strict=True):
            if value not in (0, IGNORE) and not (cells == value).any():
                cells[np.unravel_index(share.argmax(), share.shape)] = value
        return cells


def _shares(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float32]:
    shares = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(shares, np.float32).reshape(size)
