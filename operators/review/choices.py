"""What a review is about, as it is chosen in the panel: sources, order, objects or images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fiftyone as fo

from diffucurate.plugin.comparison.kinds import KINDS
from diffucurate.plugin.curation.rules import score_fields
from diffucurate.plugin.review.items import AGREEMENT, CONFIDENCE, GREATEST, IMAGES, IOU, OBJECTS
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import comparable, compared

#: In place of a second source.
ALONE = "(none)"

#: Numbers that say nothing of labels.
_NO_SCORES = (field_names.SEED, field_names.STEPS, field_names.GUIDANCE)


@dataclass(frozen=True)
class Choices:
    """The chosen values, and for each what else there is: value -> label."""

    a: str
    b: str
    by: str
    of: str
    sources: dict[str, str]
    partners: dict[str, str]
    orders: dict[str, str]
    kinds: dict[str, str]


def read_choices(dataset: fo.Dataset, state: Callable[[str], Any]) -> Choices | None:
    """From ``state(name)``; a choice that there is not is replaced by the first. None without labels."""
    sources, pairs = comparable(dataset), compared(dataset)
    if not sources:
        return None
    a = state("a") if state("a") in sources else (pairs[0][0] if pairs else sources[0])
    partners = list(dict.fromkeys(other for pair in pairs if a in pair for other in pair if other != a))
    b = state("b") if state("b") in (*partners, ALONE) else [*partners, ALONE][0]
    orders = {CONFIDENCE: "Least confidence first"}
    if b != ALONE:
        orders = {AGREEMENT: "Least agreement of the image first", IOU: "Least IoU first", **orders}
        orders |= {kind: f"Only: {kind}" for kind in KINDS}
    for name in score_fields(dataset):
        if name not in _NO_SCORES and not name.startswith(("agreement_", "compare_", "evaluate_")):
            orders |= {name: f"Least {name} first", GREATEST + name: f"Greatest {name} first"}
    by = state("by") if state("by") in orders else next(iter(orders))
    kinds = {OBJECTS: "One object after the other", IMAGES: "Whole images"}
    of = state("of") if state("of") in kinds else OBJECTS
    named = {name: name for name in sources}
    return Choices(a, b, by, of, named, {name: name for name in [*partners, ALONE]}, orders, kinds)
