"""Maps whose class has a learned threshold: from heat to the chance that a pixel belongs to it. Knows only arrays.

Such a map is calibrated: heat of ``LEVEL`` squared is as likely within the class as without, whatever the map's peak.
Its square root is refined along the image's edges first and then turned into a chance: at an edge of the image the
chance then changes from near 0 to near 1, and slow slopes are cut at the learned threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Heat = NDArray[np.float32]

#: The root of the heat at which both are as likely: about where the default threshold cuts maps that nobody calibrated.
LEVEL = 0.65

#: Slope of the chance, as a logit, over the root of the heat: about that of maps of words and tokens.
SLOPE = 14.0

#: The value of a chance of one half in maps of ``chances``.
EVEN = 0.5**0.5


def heat_of(logits: NDArray[np.floating]) -> Heat:
    """The heat, of any shape and >= 0, that stands for these logits of the chance; ``chances`` reads it."""
    return np.asarray(np.maximum(LEVEL + logits / SLOPE, 0) ** 2, np.float32)


def chances(roots: Heat, shift: float = 0.0) -> Heat:
    """The square root of the chance, in [0, 1] and of the same shape, from the square root of the heat.

    Args:
        roots: of a map that ``heat_of`` made, along the image's edges or not.
        shift: how much more heat a pixel needs than was learned, in units of its root.
    """
    logits = SLOPE * (roots - (LEVEL + shift))
    return np.asarray(np.exp(-0.5 * np.logaddexp(0, -logits)), np.float32)
