"""The sections of a report on labels: classes, density, agreement, calibration. Counted in the database."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fiftyone import ViewField as F

from diffucurate.generator.reporting.calibration import Bin, calibration_error
from diffucurate.generator.reporting.page import Html, Section, paragraph, table
from diffucurate.generator.reporting.plots import against_diagonal, bars, columns
from diffucurate.plugin.reporting.scope import Scope
from diffucurate.plugin.statistics.aggregate import rows
from diffucurate.plugin.statistics.agreement import agreement_scores
from diffucurate.plugin.statistics.counts import count_matches
from diffucurate.plugin.statistics.coverage import attributes_in
from diffucurate.plugin.store import field_names

NO_LABELS = "The dataset holds no labels."
NOT_COMPARED = "The labels were not compared with those of another source; compare measures that."

#: Classes, values and numbers of instances that are listed at most.
_MOST = 60

#: Intervals of confidence.
_BINS = 10


def classes(scope: Scope) -> Section:
    """Images and instances per class."""
    title = "Images per class"
    if scope.field is None:
        return Section(title, why=NO_LABELS)
    it = f"${scope.field}.detections"
    groups = rows(
        scope.samples,
        [
            {"$unwind": it},
            {"$group": {"_id": {"image": "$_id", "label": f"{it}.label"}, "count": {"$sum": 1}}},
            {"$group": {"_id": {"label": "$_id.label"}, "images": {"$sum": 1}, "instances": {"$sum": "$count"}}},
        ],
    )
    counts = {str(group.get("label")): (group["images"], group["instances"]) for group in groups}
    ordered = sorted(counts, key=lambda name: (-counts[name][0], name))
    if not ordered:
        return Section(title, why=f"No image has instances of '{scope.source}'.")
    shown = ordered[:_MOST]
    parts = [
        bars({name: counts[name][0] for name in shown}),
        table(("Class", "Images", "Instances"), [(name, *counts[name]) for name in shown]),
    ]
    if len(ordered) > _MOST:
        parts.append(paragraph(f"{len(ordered) - _MOST} rarer classes are not listed."))
    return Section(title, parts, figures=(("classes", len(ordered)),))


def density(scope: Scope) -> Section:
    """How many instances the images have."""
    title = "Instances per image"
    if scope.field is None:
        return Section(title, why=NO_LABELS)
    labelled = scope.samples.match(F(scope.field) != None)  # noqa: E711  (a database expression)
    lengths: Counter[int] = Counter(labelled.count_values(F(f"{scope.field}.detections").length()))
    images = sum(lengths.values())
    if not images:
        return Section(title, why=f"None of the images was labelled by '{scope.source}'.")
    largest = min(max(lengths), _MOST)
    counts = [lengths[number] for number in range(largest)]
    counts.append(sum(count for number, count in lengths.items() if number >= largest))
    labels = [*map(str, range(largest)), f"{largest}+" if max(lengths) > largest else str(largest)]
    mean = sum(number * count for number, count in lengths.items()) / images
    text = f"{mean:.2f} instances per image on average of {images:,} images; {lengths[0]:,} images have none."
    figures = (("instances_per_image", mean), ("images_without_instances", float(lengths[0])))
    return Section(title, [columns(counts, labels), paragraph(text)], figures=figures)


def agreement(scope: Scope) -> Section:
    """How far two sources agree: over all images, per class, per value of each attribute."""
    title = "Agreement"
    if scope.pair is None:
        return Section(title, why=NO_LABELS if scope.field is None else NOT_COMPARED)
    a, b = scope.pair
    scores = agreement_scores(scope.samples, a, b)
    if scores.mean is None:
        return Section(title, why=f"None of these images has a comparison of '{a}' and '{b}'.")
    text = (
        f"'{a}' and '{b}' agree by {scores.mean:.3f} on average of {scores.histogram.total:,} images: the mean IoU of "
        "matched instances, where those that one source alone has count as 0."
    )
    matches = count_matches(scope.samples, a, b)
    lines = [
        (row.label, row.matched, row.only_a, row.only_b, row.mean_iou) for row in (*matches.classes, matches.overall)
    ]
    header = ("Class", "Matched", f"Only {a}", f"Only {b}", "Mean IoU of matched")
    parts = [paragraph(text), table(header, lines)]
    values = _per_value(scope, field_names.agreement(a, b))
    if values:
        parts.append(table(("Attribute", "Value", "Images", "Mean agreement"), values))
    figures = [("agreement", scores.mean)]
    if matches.overall.mean_iou is not None:
        figures.append(("mean_iou_of_matched", matches.overall.mean_iou))
    return Section(title, parts, figures=tuple(figures))


def _per_value(scope: Scope, score: str) -> list[tuple[str, str, int, float]]:
    """(attribute, value, images, mean agreement) of the values that compared images have."""
    lines = []
    for name in attributes_in(scope.dataset):
        path = f"{field_names.ATTRIBUTES}.{name}"
        groups = rows(
            scope.samples,
            [
                {"$match": {score: {"$type": "number"}, path: {"$type": "string"}}},
                {"$group": {"_id": f"${path}", "images": {"$sum": 1}, "mean": {"$avg": f"${score}"}}},
                {"$sort": {"_id": 1}},
            ],
        )
        lines += [(name, str(group["_id"]), group["images"], group["mean"]) for group in groups]
    return lines[:_MOST]


def calibration(scope: Scope) -> Section:
    """Confidence against the IoU with the second source, in intervals of confidence."""
    title = "Confidence and what came true"
    if scope.pair is None or scope.field is None:
        return Section(title, why=NO_LABELS if scope.field is None else NOT_COMPARED)
    against = scope.against or ""
    bins = _bins(scope, f"${scope.field}.detections", field_names.iou_with(against))
    error = calibration_error(bins)
    if error is None:
        return Section(title, why=f"No instance of '{scope.source}' has both a confidence and an IoU with '{against}'.")
    text = (
        f"Confidence of '{scope.source}' and IoU with the matching instance of '{against}', 0 without one, differ by "
        f"{error:.3f} on average of {sum(each.count for each in bins):,} instances in {_BINS} intervals of confidence."
    )
    parts: list[Html] = [
        against_diagonal([(each.confidence, each.iou) for each in bins], "mean confidence", f"mean IoU with {against}"),
        paragraph(text),
        table(("Instances", "Mean confidence", "Mean IoU"), [(each.count, each.confidence, each.iou) for each in bins]),
    ]
    return Section(title, parts, figures=(("calibration_error", error),))


def _bins(scope: Scope, it: str, iou: str) -> list[Bin]:
    """The intervals of confidence that have instances, from the least confident on."""
    interval: dict[str, Any] = {"$min": [_BINS - 1, {"$floor": {"$multiply": [f"{it}.confidence", _BINS]}}]}
    path = it.removeprefix("$")
    groups = rows(
        scope.samples,
        [
            {"$unwind": it},
            {"$match": {f"{path}.confidence": {"$type": "number"}, f"{path}.{iou}": {"$type": "number"}}},
            {
                "$group": {
                    "_id": interval,
                    "count": {"$sum": 1},
                    "confidence": {"$avg": f"{it}.confidence"},
                    "iou": {"$avg": f"{it}.{iou}"},
                }
            },
            {"$sort": {"_id": 1}},
        ],
    )
    return [Bin(group["count"], group["confidence"], group["iou"]) for group in groups]
