"""Masks at the size of layers: what covers most of a cell, and no class lost."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.errors import ImageError


def test_a_cell_has_what_covers_most_of_it_and_small_classes_stay() -> None:
    ids = np.zeros((8, 8), np.uint8)
    ids[:, :3] = 1  # three quarters of the first cells, none of the second
    ids[7, 7] = 2  # one pixel of 16
    ids[0:4, 4:8] = 255
    layout = Layout(ids, ("car", "sign", "tree"))
    assert layout.at((2, 2)).tolist() == [[1, 255], [1, 2]]
    assert layout.at((8, 8)).tolist() == ids.tolist()
    assert layout.present == ("car", "sign")
    assert layout.at((3, 5)).shape == (3, 5)


def test_masks_without_classes_are_refused() -> None:
    for ids in (np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)):
        with pytest.raises(ImageError, match="none of the classes"):
            Layout(ids, ("car",))
    with pytest.raises(ImageError, match="class id 3, but there are 2 classes"):
        Layout(np.full((4, 4), 3, np.uint8), ("car", "bus"))
