"""How far two sets of labels agree: FiftyOne's own evaluation, and a score stored on each sample.

Any two fields of instances will do, ours or not. Neither is taken for the truth. FiftyOne wants a prediction and a
reference, so ``a`` is evaluated with ``b`` as the reference; only the average precision depends on which is which.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.progress import Listener
from diffucurate.plugin.appearance.scheme import place_fields
from diffucurate.plugin.comparison.class_names import all_spellings, spelled_alike, unseen_classes, without_classes
from diffucurate.plugin.comparison.marks import Side, mark_instances
from diffucurate.plugin.comparison.matching import Matching, known_precision, match_fields
from diffucurate.plugin.comparison.start import check_pair
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.classes import only_classes, read_classes
from diffucurate.plugin.store.matches import ComparisonRow, ConfusionMatrix
from diffucurate.plugin.store.samples import parts_of
from diffucurate.plugin.store.schema import declare_agreement, index_instances


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found: per class in the order of the class ids, and overall.

    ``samples`` were compared; ``skipped`` ones lack the labels of one source. ``agreement`` is the mean of the
    samples' own scores. ``eval_key`` names the evaluation in FiftyOne (``dataset.load_evaluation_results``).
    ``matched_by`` is ``masks``, or ``boxes`` where ``without_masks`` names fields whose instances lack masks.
    ``left_out`` names instances that cannot be read, each with its sample and why. ``unseen`` are classes that one of
    both sources has none of, as it knows none or was not asked, by source: instances of these were not compared.
    ``kinds`` says how many instances were tagged with which kind of disagreement (``plugin.comparison.kinds``), and
    ``confusion`` which class of ``a`` stands where ``b`` has which; None where nothing was marked.
    """

    a: str
    b: str
    eval_key: str
    agreement_field: str
    samples: int
    skipped: int
    agreement: float
    classes: tuple[ComparisonRow, ...]
    overall: ComparisonRow
    without_masks: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unseen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)
    confusion: ConfusionMatrix | None = None

    @property
    def matched_by(self) -> str:
        return "boxes" if self.without_masks else "masks"

    def table(self) -> list[dict[str, Any]]:
        """One plain mapping per class and a last one, labelled ``all``."""
        return [asdict(row) for row in (*self.classes, self.overall)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "matched_by": self.matched_by}


def compare(
    samples: fo.Dataset | fo.DatasetView,
    a: str,
    b: str,
    *,
    classes: Sequence[str] | None = None,
    iou: float = 0.5,
    mark: bool = True,
    progress: Listener | None = None,
) -> Comparison:
    """Match the instances of two label sources, or of any two fields of labels, class by class.

    They are matched by their masks, or by their boxes where instances of either have only those. Names that differ in
    capitals only, or in what stands between words, are one class: ``traffic light`` and ``traffic_light``. Classes that
    one of both sources was asked for and knows none of, such as a detector that was not trained on them, or was never
    asked for, are no disagreement: instances of these are left out (``Comparison.unseen``).

    The evaluation is stored under ``compare_<a>_<b>`` and replaces an earlier one. Each compared sample gets
    ``agreement_<a>_<b>``: the sum of the matched instances' IoU divided by the larger of the two sources' counts,
    so that every instance only one of them sees counts as 0; 1 where both see nothing. Samples outside of
    ``samples`` keep theirs.

    Args:
        samples: a dataset or view; filtered instances stay filtered.
        a, b: names of label sources, such as ``attention``, or of fields, such as ``ground_truth``.
        classes: only instances of these are matched and counted; of all classes by default.
        iou: the least IoU of a match, in (0, 1].
        mark: whether each instance gets ``iou_with_<other>``, ``matched_<other>``, ``class_in_<other>`` (the class that
            the other has at its place, None where it has none), and label tags that name the kind of disagreement, such
            as ``merged (yolov8)``: extra, missed, wrong class, merged, split, loose outline. They replace those of an
            earlier comparison of these two.
        progress: called with the share that is done.

    Raises:
        DatasetError: there is no such source or field, or no sample has the labels of both.
        InvalidSetting: the same labels twice, a class that neither has, or an ``iou`` out of range.
    """
    dataset = check_pair(samples, a, b, iou=iou)
    field_a, field_b = (detections_field(samples, dataset, name) for name in (a, b))
    labelled = samples.match((F(field_a) != None) & (F(field_b) != None))  # noqa: E711  (a database expression)
    count = len(labelled)
    if not count:
        raise DatasetError(f"no sample has labels of both '{a}' and '{b}'; label the same samples with both first")
    if classes is not None:
        spellings = all_spellings(dataset, (field_a, field_b), classes)
        labelled = only_classes(labelled, dataset, (field_a, field_b), spellings)
    pairs = ((a, field_a, field_b), (b, field_b, field_a))
    unseen = {name: unseen_classes(dataset, name, own, other) for name, own, other in pairs}
    unseen = {name: names for name, names in unseen.items() if names}
    labelled = without_classes(labelled, (field_a, field_b), (name for names in unseen.values() for name in names))
    labelled = spelled_alike(labelled, (field_a, field_b), read_classes(dataset))

    key, settings = field_names.evaluation(a, b), {"a": a, "b": b, "iou": iou, "samples": count}
    if classes is not None:
        settings["classes"] = list(classes)
    with runs.recorded(dataset, "compare", settings) as run:
        matching = match_fields(labelled, field_a, field_b, key=key, iou=iou, progress=progress)
        labelled = matching.samples
        name = declare_agreement(dataset, a, b)
        for compared_field in (field_a, field_b):
            index_instances(dataset, compared_field)
        scores = array("d")
        for part in parts_of(labelled):
            of_part = _agreements(part, field_a, field_b, key)
            part.set_values(name, of_part)
            scores.extend(of_part)

        order = list(read_classes(dataset))
        rows = _rows(matching, order)
        marks = mark_instances(labelled, Side(a, field_a), Side(b, field_b), key, iou, order) if mark else None
        comparison = Comparison(
            a,
            b,
            key,
            name,
            count,
            len(samples) - count,
            float(np.mean(scores)),
            rows,
            _overall(matching, rows),
            matching.without_masks,
            matching.left_out,
            unseen,
            {} if marks is None else marks.kinds,
            None if marks is None else marks.confusion,
        )
        run.facts |= comparison.to_dict()
    place_fields(dataset)
    return comparison


def _agreements(samples: fo.DatasetView, field_a: str, field_b: str, key: str) -> list[float]:
    matched_iou, ids_b = samples.values([f"{field_a}.detections.{key}_iou", f"{field_b}.detections.id"])
    scores = []
    for ious, others in zip(matched_iou, ids_b, strict=True):
        larger = max(len(ious or ()), len(others or ()))
        scores.append(sum(iou for iou in ious or () if iou is not None) / larger if larger else 1.0)
    return scores


def _rows(matching: Matching, order: Sequence[str]) -> tuple[ComparisonRow, ...]:
    results = matching.results
    matches: dict[str, list[float]] = defaultdict(list)
    only_a: dict[str, int] = defaultdict(int)
    only_b: dict[str, int] = defaultdict(int)
    pairs = zip(results.ytrue.tolist(), results.ypred.tolist(), results.ious.tolist(), strict=True)
    for reference, predicted, iou in pairs:
        if reference == results.missing:
            only_a[predicted] += 1
        elif predicted == results.missing:
            only_b[reference] += 1
        else:
            matches[reference].append(iou)
    seen = {*matches, *only_a, *only_b}
    labels = [*(name for name in order if name in seen), *sorted(seen.difference(order))]
    return tuple(
        ComparisonRow(
            label,
            len(matches[label]),
            only_a[label],
            only_b[label],
            float(np.mean(matches[label])) if matches[label] else None,
            known_precision(results.mAP(classes=[label])) if matching.ranked else None,
        )
        for label in labels
    )


def _overall(matching: Matching, rows: Sequence[ComparisonRow]) -> ComparisonRow:
    matched = sum(row.matched for row in rows)
    total_iou = sum(row.mean_iou * row.matched for row in rows if row.mean_iou is not None)
    return ComparisonRow(
        "all",
        matched,
        sum(row.only_a for row in rows),
        sum(row.only_b for row in rows),
        total_iou / matched if matched else None,
        known_precision(matching.results.mAP()) if matching.ranked else None,
    )
