"""Splits touching objects by their colours. Knows only arrays.

A single object has several colours too, as a car and its windows. On its own this finds as many cuts through single
objects as between two, so it is used only where the number of objects is known (``split_to_count``).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.masks.components import Cut
from diffucurate.generator.labels.masks.working_grid import around

#: Directions of a cut: how far it leans from the vertical, in radians. Objects that stand on the ground stand side by
#: side.
_LEANS = np.deg2rad([0, -20, 20])

#: The shares of a mask's area on one side of the cuts that are tried.
_SHARES = np.linspace(0.3, 0.7, 17)

#: Histograms have bins of this width in each channel of CIELAB, from 0 to 255, after a blur of as many points.
_BIN, _BLUR = 32, 0.8

#: A mask of fewer points has too few colours to compare.
_LEAST_AREA = 20


def colour_bins(image: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The number, (h, w), of the bin that each colour of an (h, w, 3) RGB image falls into."""
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), _BLUR), cv2.COLOR_RGB2LAB)
    per_channel = -(-256 // _BIN)
    return np.asarray(lab // _BIN, np.intp) @ np.array([1, per_channel, per_channel**2])


def cut_by_colour(mask: NDArray[np.bool_], bins: NDArray[np.intp]) -> Cut | None:
    """The straight cut through a mask whose sides differ most in colour; None through a mask that is too small.

    Its worth is 1 - Bhattacharyya's coefficient of the sides' histograms: 0 if they are alike, 1 if they have no colour
    in common.

    Args:
        mask: (h, w) bool.
        bins: (h, w), see ``colour_bins``.
    """
    near = around(mask)
    rows, columns = np.nonzero(mask[near])
    count = len(rows)
    if count < _LEAST_AREA:
        return None
    colours, places = np.unique(bins[near][rows, columns], return_inverse=True)
    histograms = np.eye(len(colours), dtype=np.float32)[places]
    firsts = (_SHARES * count).astype(np.intp)
    cuts = []
    for lean in _LEANS:
        across = columns * np.cos(lean) + rows * np.sin(lean)
        order = np.argsort(across, kind="stable")
        sums = np.cumsum(histograms[order], axis=0)
        left, whole = sums[firsts - 1], sums[-1]
        alike = np.sqrt(left * (whole - left)).sum(axis=1) / np.sqrt(firsts * (count - firsts))
        best = int(alike.argmin())
        cuts.append((1 - float(alike[best]), order[: firsts[best]]))
    worth, side = max(cuts, key=lambda cut: cut[0])
    part = np.zeros_like(mask)
    part[near][rows[side], columns[side]] = True
    return Cut(worth, part)
