"""Whether confidences say how right labels are. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Intervals of confidence, as in Guo et al. (2017) with ten instead of fifteen.
BINS = 10


def calibration_error(confidences: Sequence[float], correct: Sequence[bool]) -> float | None:
    """The expected calibration error: the mean distance of confidence and share of right ones over ``BINS`` equal
    intervals of [0, 1], each weighted by how many it has; None without any."""
    if not len(confidences):
        return None
    values, right = np.asarray(confidences, float), np.asarray(correct, float)
    bins = np.minimum((np.clip(values, 0, 1) * BINS).astype(int), BINS - 1)
    gaps = [abs(values[bins == i].mean() - right[bins == i].mean()) * (bins == i).mean() for i in set(bins.tolist())]
    return float(sum(gaps))


def rank_correlation(confidences: Sequence[float], ious: Sequence[float]) -> float | None:
    """Spearman's correlation of confidence with IoU, in [-1, 1]; None where either does not vary."""
    if len(confidences) < 2 or np.ptp(confidences) == 0 or np.ptp(ious) == 0:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(confidences, ious).statistic)
