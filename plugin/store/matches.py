"""The matches that a comparison leaves on instances, and the row that counts them.

``plugin.comparison`` writes them and ``plugin.statistics`` reads them again, for any view.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What FiftyOne's evaluation writes on an instance of ``a``, or of ``b``.
MATCHED, ONLY_A, ONLY_B = "tp", "fp", "fn"


@dataclass(frozen=True)
class ComparisonRow:
    """How two sources agree on one class, or on all of them.

    ``matched``, ``only_a`` and ``only_b`` count instances; ``mean_iou`` is the mean over the matched ones, None
    where there are none. ``ap`` is COCO's average precision of ``a`` with ``b`` as the reference, over IoU 0.50
    to 0.95; None where ``b`` has no instance or ``a`` no confidences, and in the rows of a view, for which it is
    not computed.
    """

    label: str
    matched: int
    only_a: int
    only_b: int
    mean_iou: float | None
    ap: float | None = None
