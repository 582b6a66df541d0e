"""Which samples pass the rules: counted in the database for a form, or selected for ``curate``.

Neither loads a sample. Counting leaves out the rules that read images: duplicates, and the limit per class where
duplicates go first. Tags nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.progress import Listener
from diffucurate.plugin.curation.class_limit import over_limit
from diffucurate.plugin.curation.duplicates import exact_duplicates, near_duplicates, usual_distance
from diffucurate.plugin.curation.rules import KEPT, UNLABELLED, BoundRules, Rules
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import compared
from diffucurate.plugin.store.samples import dataset_of

#: Sample id and the classes of its instances that pass.
_Shown = tuple[str, list[str]]

#: Rules that are not about one sample alone, in the order in which they are applied, after all others.
EXACT, NEAR, CAP, BACKGROUNDS = "exact duplicates", "near-duplicates", "images per class", "backgrounds"

#: Rule -> the words for images that it removed; a score goes by the name of its field.
_WORDS = {
    UNLABELLED: "without labels of this source",
    "agreement": "by agreement",
    "reviewed": "by review",
    "confidence": "by confidence",
    "classes": "by class",
    "area": "by area",
    EXACT: "exact copies",
    NEAR: "near-duplicates",
    CAP: "over the limit per class",
    BACKGROUNDS: "over the share of backgrounds",
}


@dataclass(frozen=True)
class Count:
    """How many of the ``considered`` images are ``kept``, and how many each rule removed.

    Every removed image counts for the first rule it broke, so ``removed`` and ``kept`` add up to ``considered``.
    ``pending`` names the rules that were not applied: then ``kept`` is the greatest number there can be.
    """

    considered: int
    kept: int
    removed: Mapping[str, int] = field(default_factory=dict)
    pending: tuple[str, ...] = ()

    def headline(self) -> str:
        """'148 of 200 images kept', or 'At most ...'."""
        noun = "image" if self.considered == 1 else "images"
        text = f"{self.kept:,} of {self.considered:,} {noun} kept"
        return f"At most {text}" if self.pending else text

    def reasons(self) -> str:
        """'Dropped: 30 by confidence, 22 by agreement'; empty where nothing is dropped."""
        parts = [f"{number:,} {_in_words(rule)}" for rule, number in self.removed.items()]
        return "Dropped: " + ", ".join(parts) if parts else ""


@dataclass(frozen=True)
class Selection:
    """The ids of the chosen samples, in the order of the view or, where they were ranked, the best first."""

    ids: list[str]
    count: Count
    ranked_by: str | None = None


def count(samples: fo.Dataset | fo.DatasetView, rules: Rules) -> Count:
    """Count what ``curate`` would keep of ``samples``, without reading an image.

    Raises:
        DatasetError, InvalidSetting: as ``curate`` does.
    """
    bound = BoundRules(dataset_of(samples), rules)
    counted = _count_in_database(samples, bound)
    duplicates = _duplicate_rules(rules)
    if duplicates:
        pending = (*duplicates, CAP) if rules.max_per_class is not None else duplicates
        counted = _with_backgrounds(bound, counted, _backgrounds(samples, bound))[1]
        return Count(counted.considered, counted.kept, counted.removed, pending)
    if rules.max_per_class is not None:
        ranked, _ = _ranked(samples, bound)
        counted = _without(counted, CAP, len(over_limit(ranked, rules.max_per_class)))
    return _with_backgrounds(bound, counted, _backgrounds(samples, bound))[1]


def select(samples: fo.Dataset | fo.DatasetView, bound: BoundRules, progress: Listener | None = None) -> Selection:
    """Choose the samples that pass all rules; of copies, and of too many of a class, the best ones.

    The best is the one with the highest agreement (with the source that the rules name, else with the one that was
    compared last), then the highest mean confidence of its instances that pass; the earlier id decides the rest.
    """
    rules = bound.rules
    selection = _select(samples, bound, progress)
    if rules.backgrounds is None:
        return selection
    empty = _backgrounds(samples, bound)
    left = set(selection.ids)  # without copies
    empty = {sample_id: verdict for sample_id, verdict in empty.items() if verdict != KEPT or sample_id in left}
    kept, counted = _with_backgrounds(bound, selection.count, empty)
    shown = [sample_id for sample_id in selection.ids if sample_id not in empty]
    return Selection([*shown, *kept], counted, selection.ranked_by)


def _select(samples: fo.Dataset | fo.DatasetView, bound: BoundRules, progress: Listener | None) -> Selection:
    """``select`` without the rule on backgrounds."""
    rules = bound.rules
    counted = _count_in_database(samples, bound)
    if not _duplicate_rules(rules) and rules.max_per_class is None:
        return Selection(_passing(samples, bound).values("id"), counted)
    ranked, ranked_by = _ranked(samples, bound)
    if rules.exact_duplicates:
        ranked, counted = _drop(
            ranked, counted, EXACT, exact_duplicates(bound.dataset, [sample_id for sample_id, _ in ranked])
        )
    if rules.near_duplicates is not False:
        usual = rules.near_duplicates is True
        distance = usual_distance(rules.embeddings) if usual else float(rules.near_duplicates)
        near = near_duplicates(
            bound.dataset, [sample_id for sample_id, _ in ranked], distance, rules.embeddings, progress
        )
        ranked, counted = _drop(ranked, counted, NEAR, near)
    if rules.max_per_class is not None:
        ranked, counted = _drop(ranked, counted, CAP, over_limit(ranked, rules.max_per_class))
    return Selection([sample_id for sample_id, _ in ranked], counted, ranked_by)


def _backgrounds(samples: fo.Dataset | fo.DatasetView, bound: BoundRules) -> dict[str, str]:
    """The samples in which the source found no object of the classes, in an order that says nothing of them, with the
    verdict of the other rules on each."""
    if bound.rules.backgrounds is None:
        return {}
    rows = zip(*samples.match(bound.background()).values(["id", bound.verdict()]), strict=True)
    return dict(sorted(rows, key=lambda row: sha256(row[0].encode()).digest()))


def _with_backgrounds(bound: BoundRules, counted: Count, empty: Mapping[str, str]) -> tuple[list[str], Count]:
    """Those backgrounds that are kept so that they have their share, and the count with them.

    Args:
        bound: the rules.
        counted: what the other rules keep.
        empty: the backgrounds, each with the rule that had removed it, or ``KEPT``.
    """
    share = bound.rules.backgrounds
    if share is None:
        return [], counted
    passed = sum(verdict == KEPT for verdict in empty.values())
    shown = counted.kept - passed
    kept = list(empty)[: math.floor(share / (1 - share) * shown + 1e-9)]
    back = Counter(empty[sample_id] for sample_id in kept)
    removed = {rule: number - back[rule] for rule, number in counted.removed.items()}
    removed[BACKGROUNDS] = passed - back[KEPT]
    removed = {rule: number for rule, number in removed.items() if number}
    return kept, Count(counted.considered, shown + len(kept), removed, counted.pending)


def _in_words(rule: str) -> str:
    return _WORDS.get(rule) or f"by {rule.removeprefix('scores.')}"


def _count_in_database(samples: fo.Dataset | fo.DatasetView, bound: BoundRules) -> Count:
    verdicts = samples.count_values(bound.verdict())
    removed = {rule: verdicts[rule] for rule in bound.names() if verdicts.get(rule)}
    return Count(sum(verdicts.values()), verdicts.get(KEPT, 0), removed)


def _passing(samples: fo.Dataset | fo.DatasetView, bound: BoundRules) -> fo.DatasetView:
    return samples.match(bound.verdict() == KEPT)


def _ranked(samples: fo.Dataset | fo.DatasetView, bound: BoundRules) -> tuple[list[_Shown], str]:
    """The samples that pass the rules which read no image, the best first, and what they were ranked by."""
    rule, found = bound.instance_rule(), F(f"{bound.instances}.detections")
    shown = found if rule is None else found.filter(rule)
    agreement = bound.agreement or _latest_agreement(bound)
    columns = ["id", shown.map(F("label")), shown.map(F("confidence")).mean()]
    ids, labels, confidences, *scores = _passing(samples, bound).values(columns + ([agreement] if agreement else []))
    agreements = scores[0] if scores else [None] * len(ids)

    def rank(row: tuple[str, list[str], float | None, float | None]) -> tuple[float, float, str]:
        sample_id, classes, confidence, score = row
        # Instances without confidence count as certain, as everywhere; an image without instances comes last.
        sure = confidence if confidence is not None else float(bool(classes))
        return (-score if score is not None else 1.0, -sure, sample_id)

    rows = sorted(zip(ids, [names or [] for names in labels], confidences, agreements, strict=True), key=rank)
    return [(row[0], row[1]) for row in rows], f"{agreement}, confidence" if agreement else "confidence"


def _latest_agreement(bound: BoundRules) -> str | None:
    pairs = (pair for pair in compared(bound.dataset) if bound.rules.source in pair)
    return next((field_names.agreement(*pair) for pair in pairs), None)


def _duplicate_rules(rules: Rules) -> tuple[str, ...]:
    wanted = {EXACT: rules.exact_duplicates, NEAR: rules.near_duplicates is not False}
    return tuple(name for name, asked in wanted.items() if asked)


def _drop(ranked: list[_Shown], counted: Count, rule: str, ids: set[str]) -> tuple[list[_Shown], Count]:
    return [row for row in ranked if row[0] not in ids], _without(counted, rule, len(ids))


def _without(counted: Count, rule: str, number: int) -> Count:
    removed = {**counted.removed, rule: number} if number else counted.removed
    return Count(counted.considered, counted.kept - number, removed, counted.pending)
