"""How far two sets of labels agree: FiftyOne's own evaluation, and a score stored on each sample.

Any two fields of instances will do, ours or not. Neither is taken for the truth. FiftyOne wants a prediction and a
reference, so ``a`` is evaluated with ``b`` as the reference; only the average precision depends on which is which.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.appearance.scheme import place_fields
from diffucurate.plugin.comparison.class_names import all_spellings, spelled_alike, unseen_classes, without_classes
from diffucurate.plugin.comparison.marks import ANY_SIZE, Side, mark_instances
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.classes import only_classes, read_classes
from diffucurate.plugin.store.instances import read_instances
from diffucurate.plugin.store.label_sources import count_masks
from diffucurate.plugin.store.matches import ComparisonRow
from diffucurate.plugin.store.samples import dataset_of


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found: per class in the order of the class ids, and overall.

    ``samples`` were compared; ``skipped`` ones lack the labels of one source. ``agreement`` is the mean of the
    samples' own scores. ``eval_key`` names the evaluation in FiftyOne (``dataset.load_evaluation_results``).
    ``matched_by`` is ``masks``, or ``boxes`` where ``without_masks`` names fields whose instances lack masks.
    ``left_out`` names instances that cannot be read, each with its sample and why. ``unseen`` are classes that one of
    both sources has none of, as it knows none or was not asked, by source: instances of these were not compared.
    ``kinds`` says how many instances were tagged with which kind of disagreement (``plugin.comparison.kinds``).
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
        mark: whether each instance gets ``iou_with_<other>``, ``matched_<other>``, and label tags that name the kind of
            disagreement, such as ``merged (yolov8)``: extra, missed, wrong class, merged, split, loose outline. They
            replace those of an earlier comparison of these two.
        progress: called with the share that is done.

    Raises:
        DatasetError: there is no such source or field, or no sample has the labels of both.
        InvalidSetting: the same labels twice, a class that neither has, or an ``iou`` out of range.
    """
    if not 0 < iou <= 1:
        raise InvalidSetting("iou", iou, "give the least IoU of a match, above 0 and at most 1")
    dataset = dataset_of(samples)
    field_a, field_b = (detections_field(samples, dataset, name) for name in (a, b))
    if field_a == field_b:
        raise InvalidSetting("b", b, "name two different label sources")
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
    maskless = tuple(field for field in (field_a, field_b) if not _has_masks(labelled, field))

    key, settings = field_names.evaluation(a, b), {"a": a, "b": b, "iou": iou, "samples": count}
    if classes is not None:
        settings["classes"] = list(classes)
    with runs.recorded(dataset, "compare", settings) as run:
        if key in dataset.list_evaluations():
            dataset.delete_evaluation(key)
        # Average precision needs an order of a's instances; ground truth, say, has none.
        ranked = labelled.count(f"{field_a}.detections") == labelled.count(f"{field_a}.detections.confidence")
        arguments = {"gt_field": field_b, "eval_key": key, "method": "coco", "iou": iou, "use_masks": not maskless}
        arguments |= {"compute_mAP": ranked}
        bar = _two_passes(Meter(progress, count), count) if progress else None
        results, left_out = _evaluated(labelled, field_a, arguments, bar)
        if left_out:
            unreadable = {identifier for _, identifier in left_out}
            labelled = _without(labelled, (field_a, field_b), unreadable)
            if key in dataset.list_evaluations():
                dataset.delete_evaluation(key)
            results = labelled.evaluate_detections(field_a, **arguments, progress=False)
        scores = _agreements(labelled, field_a, field_b, key)
        name = field_names.agreement(a, b)
        dataset.add_sample_field(name, fo.FloatField)
        labelled.set_values(name, scores)

        rows = _rows(results, list(read_classes(dataset)), ranked)
        overall = _overall(results, rows, ranked)
        skipped = len(samples) - count
        kinds = mark_instances(labelled, Side(a, field_a), Side(b, field_b), key, iou) if mark else {}
        reasons = tuple(reason for reason, _ in left_out)
        mean = float(np.mean(scores))
        comparison = Comparison(a, b, key, name, count, skipped, mean, rows, overall, maskless, reasons, unseen, kinds)
        run.facts |= comparison.to_dict()
    place_fields(dataset)
    return comparison


def _has_masks(samples: fo.DatasetView, field: str) -> bool:
    """Whether every instance has a mask."""
    instances, masks = count_masks(samples, field)
    return masks >= instances


def _evaluated(
    samples: fo.DatasetView, field: str, arguments: dict[str, Any], bar: Any
) -> tuple[Any, list[tuple[str, str]]]:
    """The results of FiftyOne's evaluation; or why instances cannot be read, and their ids, where that spoils it.

    Looking at every instance takes as long as comparing, so it is done only where FiftyOne fails or measures no number.
    """
    results, failure = None, None
    try:
        results = samples.evaluate_detections(field, **arguments, progress=bar)
    except Exception as error:  # FiftyOne has many for labels that it cannot use
        failure = error
    named = all(
        samples.count(f"{path}.detections") == samples.count(f"{path}.detections.label")
        for path in (field, arguments["gt_field"])
    )
    if results is not None and named and all(_is_number(iou) for iou in results.ious.tolist()):
        return results, []
    left_out = [
        item
        for name in (field, arguments["gt_field"])
        for item in _unreadable(samples, name, with_masks=arguments["use_masks"])
    ]
    if failure is not None and not left_out:
        raise failure
    return results, left_out


def _is_number(iou: float | None) -> bool:
    """Whether a match has an IoU; None stands for no match."""
    return iou is None or math.isfinite(iou)


def _unreadable(samples: fo.DatasetView, field: str, *, with_masks: bool) -> Iterator[tuple[str, str]]:
    """Why instances cannot be read, with their ids."""
    box = np.ones((1, 1), np.bool_)
    for sample in samples.select_fields([field, "metadata"]).iter_samples():
        size = sample.metadata
        shape = (size.height, size.width) if size is not None and size.height and size.width else ANY_SIZE
        labels = sample[field]
        if not with_masks:  # which some lack; the boxes alone are matched
            for detection in labels.detections or ():
                detection.mask, detection.mask_path = box, None
        for identifier, reason in read_instances(labels, shape).left_out.items():
            yield f"{sample.filepath}, {field}: {reason}", identifier


def _without(samples: fo.DatasetView, fields: Sequence[str], identifiers: set[str]) -> fo.DatasetView:
    """The samples without the instances of these ids."""
    unwanted = [ObjectId(identifier) for identifier in identifiers]
    for path in fields:
        samples = samples.filter_labels(path, ~F("_id").is_in(unwanted), only_matches=False)
    return samples


def _two_passes(meter: Meter, count: int) -> Any:
    """FiftyOne goes over the samples twice, for the matches and for the average precision, with a bar each."""
    passes: list[Any] = []

    def report(bar: Any) -> None:
        if not any(bar is known for known in passes):
            passes.append(bar)
        meter.reach((count * (len(passes) - 1) + int(bar.iteration)) // 2)

    return report


def _agreements(samples: fo.DatasetView, field_a: str, field_b: str, key: str) -> list[float]:
    matched_iou, ids_b = samples.values([f"{field_a}.detections.{key}_iou", f"{field_b}.detections.id"])
    scores = []
    for ious, others in zip(matched_iou, ids_b, strict=True):
        larger = max(len(ious or ()), len(others or ()))
        scores.append(sum(iou for iou in ious or () if iou is not None) / larger if larger else 1.0)
    return scores


def _rows(results: Any, order: Sequence[str], ranked: bool) -> tuple[ComparisonRow, ...]:
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
            _known(results.mAP(classes=[label])) if ranked else None,
        )
        for label in labels
    )


def _overall(results: Any, rows: Sequence[ComparisonRow], ranked: bool) -> ComparisonRow:
    matched = sum(row.matched for row in rows)
    total_iou = sum(row.mean_iou * row.matched for row in rows if row.mean_iou is not None)
    return ComparisonRow(
        "all",
        matched,
        sum(row.only_a for row in rows),
        sum(row.only_b for row in rows),
        total_iou / matched if matched else None,
        _known(results.mAP()) if ranked else None,
    )


def _known(average_precision: float) -> float | None:
    """FiftyOne gives -1 where the reference has no instance."""
    return None if average_precision < 0 else float(average_precision)
