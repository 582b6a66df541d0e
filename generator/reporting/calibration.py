"""How far confidences come true: bins of confidence, and what another source says of the instances in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bin:
    """The instances of one interval of confidence: how many, their mean confidence and their mean IoU."""

    count: int
    confidence: float
    iou: float


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """The mean distance of confidence and IoU over bins, weighted by their instances; None without instances."""
    total = sum(each.count for each in bins)
    if not total:
        return None
    return sum(each.count * abs(each.confidence - each.iou) for each in bins) / total
