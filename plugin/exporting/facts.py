"""The facts of an export's datasheet, counted in the database. Reads no image; nothing depends on the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.exports.datasheet import Agreement, ClassFigures, Datasheet, PaintedImages
from diffucurate.generator.labels.model import HUMAN
from diffucurate.plugin.fiftyone_private import aggregate
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.label_sources import compared
from diffucurate.plugin.store.samples import dataset_of

#: Prompts shown, and values of one thing that are listed.
_EXAMPLES, _MOST_VALUES = 5, 50

#: The options of a labelling that say which model it was.
_MODEL_OPTIONS = ("model", "weights", "segmenter", "detector", "refiner", "tokens", "by")


def datasheet(
    labelled: fo.DatasetView, field: str, *, format: str, source: str, classes: Sequence[str], unlabelled: int
) -> Datasheet:
    """The datasheet of an export of the instances that ``labelled`` shows in the Detections ``field``.

    Args:
        labelled: the samples that are exported.
        field: their instances.
        format: of the export.
        source: the name by which ``field`` was asked for.
        classes: all that the export knows, in the order of their ids.
        unlabelled: samples that were left out, as the source has not labelled them.
    """
    dataset = dataset_of(labelled)
    return Datasheet(
        name=dataset.name,
        format=format,
        source=source,
        classes=classes,
        unlabelled=unlabelled,
        licence=licence_of(dataset),
        figures=_figures(labelled, field),
        sizes=_sizes(labelled),
        agreements=_agreements(dataset, labelled, field, source),
        source_settings=_source_settings(dataset, source),
        found_by=_found_by(labelled, field),
        human=labelled.count(F(f"{field}.detections").filter(F("tags").contains(HUMAN)).map(F("_id"))),
        painted=_painted(labelled),
    )


def licence_of(dataset: fo.Dataset) -> str | None:
    """The licence that the dataset's info states: as ``license``, or as the only one of COCO's ``licenses``."""
    info = dataset.info if isinstance(dataset.info, Mapping) else {}
    stated = info.get("license") or info.get("licence")
    several = info.get("licenses")
    if not stated and isinstance(several, list | tuple) and len(several) == 1 and isinstance(several[0], Mapping):
        stated = several[0].get("name")
    return stated.strip() if isinstance(stated, str) and stated.strip() else None


def supercategories_of(dataset: fo.Dataset) -> dict[str, str]:
    """Class -> what it is a kind of, where the dataset's info says so as COCO's ``categories``."""
    info = dataset.info if isinstance(dataset.info, Mapping) else {}
    categories = info.get("categories")
    return {
        each["name"]: each["supercategory"]
        for each in (categories if isinstance(categories, list | tuple) else ())
        if isinstance(each, Mapping)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("supercategory"), str)
        and each["supercategory"]
    }


def _figures(samples: fo.DatasetView, field: str) -> dict[str, ClassFigures]:
    it = f"${field}.detections"
    measured = {"confidence": f"{it}.confidence", "area": f"{it}.{field_names.AREA}"}
    sums: dict[str, Any] = {name: {"$sum": value} for name, value in measured.items()}
    sums |= {f"with_{name}": {"$sum": {"$toInt": {"$isNumber": value}}} for name, value in measured.items()}
    totals = {name: {"$sum": f"${name}"} for name in ("instances", *sums)}
    groups = aggregate(  # per image first: a set of images per class would outgrow what the database holds in one place
        samples,
        [
            {"$unwind": it},
            {"$group": {"_id": {"image": "$_id", "label": f"{it}.label"}, "instances": {"$sum": 1}, **sums}},
            {"$group": {"_id": "$_id.label", "images": {"$sum": 1}, **totals}},
        ],
    )

    def mean(group: dict[str, Any], name: str) -> float | None:
        return group[name] / group[f"with_{name}"] if group[f"with_{name}"] else None

    return {
        group["_id"]: ClassFigures(group["images"], group["instances"], mean(group, "confidence"), mean(group, "area"))
        for group in groups
        if isinstance(group["_id"], str)
    }


def _sizes(samples: fo.DatasetView) -> dict[str, int]:
    sides = {"width": "$metadata.width", "height": "$metadata.height"}
    groups = aggregate(samples, [{"$group": {"_id": sides, "count": {"$sum": 1}}}])
    counts = {}
    for group in groups:
        width, height = group["_id"].get("width"), group["_id"].get("height")
        if width and height:
            counts[f"{width} x {height}"] = group["count"]
    return _most_first(counts)


def _agreements(dataset: fo.Dataset, samples: fo.DatasetView, field: str, source: str) -> list[Agreement]:
    agreements = []
    for a, b in compared(dataset):
        if source not in (a, b):
            continue
        score, other = field_names.agreement(a, b), b if a == source else a
        count, mean = samples.aggregate([fo.Count(score), fo.Mean(score)])
        if not count:
            continue
        path, iou = f"{field}.detections", field_names.iou_with(other)
        groups = aggregate(
            samples,
            [
                {"$match": {score: {"$type": "number"}}},
                {"$unwind": f"${path}"},
                {"$group": {"_id": f"${path}.label", "iou": {"$avg": f"${path}.{iou}"}}},
            ],
        )
        ious = {str(group["_id"]): group["iou"] for group in groups if group["iou"] is not None}
        agreements.append(Agreement(other, count, mean, ious))
    return sorted(agreements, key=lambda agreement: agreement.other)


def _source_settings(dataset: fo.Dataset, source: str) -> dict[str, str]:
    """Which model labelled, by the latest run of ``label`` with this source; of paths the last part only."""
    infos = [dataset.get_run_info(key) for key in dataset.list_runs(method=runs.method("label"))]
    for info in sorted(infos, key=lambda info: info.timestamp, reverse=True):
        settings = runs.plain(getattr(info.config, "settings", None))
        if isinstance(settings, Mapping) and settings.get("source") == source:
            return {name: _short(settings[name]) for name in _MODEL_OPTIONS if settings.get(name)}
    return {}


def _short(value: Any) -> str:
    values = value if isinstance(value, list | tuple) else [value]
    return ", ".join(Path(text).name if Path(text := str(each)).is_absolute() else text for each in values)


def _found_by(samples: fo.DatasetView, field: str) -> dict[str, int]:
    path = f"{field}.detections.{field_names.FOUND_BY}"
    if not samples.has_sample_field(path):
        return {}
    groups = aggregate(
        samples, [{"$unwind": f"${field}.detections"}, {"$group": {"_id": f"${path}", "count": {"$sum": 1}}}]
    )
    return {" + ".join(map(str, group["_id"])): group["count"] for group in groups if group["_id"]}


def _painted(samples: fo.DatasetView) -> PaintedImages | None:
    if not samples.has_sample_field(field_names.JOB_ID):
        return None
    painted = samples.exists(field_names.JOB_ID)
    if not painted:
        return None
    counted = (field_names.MODEL, field_names.TASK)
    spans = (field_names.SEED, field_names.STEPS, field_names.GUIDANCE)
    results = painted.aggregate(
        [
            fo.Count(),
            *(fo.CountValues(name) for name in counted),
            *(fo.Bounds(name) for name in spans),
        ]
    )
    images, models, tasks, seeds, steps, guidance = results
    prompts = _values(painted, field_names.PROMPT)
    return PaintedImages(
        images=images,
        models=_most_first(models),
        tasks=_most_first(tasks),
        seeds=None if seeds[0] is None else (*seeds, len(_values(painted, field_names.SEED))),
        steps=None if steps[0] is None else steps,
        guidance=None if guidance[0] is None else guidance,
        attributes=_attributes(painted),
        prompts=len(prompts),
        examples=_spread(sorted(prompts)),
    )


def _values(samples: fo.DatasetView, name: str) -> list[Any]:
    """The different values of a field, one document each: FiftyOne's own list of them has to fit into one."""
    groups = aggregate(samples, [{"$group": {"_id": f"${name}"}}])
    return [group["_id"] for group in groups if group["_id"] is not None]


def _attributes(samples: fo.DatasetView) -> dict[str, dict[str, int]]:
    field = dataset_of(samples).get_field(field_names.ATTRIBUTES)
    names = [] if field is None else [name for name in field.get_field_schema() if name != "id"]
    counts = samples.aggregate([fo.CountValues(f"{field_names.ATTRIBUTES}.{name}") for name in names])
    values = {name: _most_first(counted) for name, counted in zip(names, counts, strict=True)}
    return {name: counted for name, counted in values.items() if counted}


def _spread(texts: Sequence[str]) -> list[str]:
    """Some of many texts, evenly spread."""
    step = max(len(texts) / _EXAMPLES, 1)
    return [texts[int(index * step)] for index in range(min(_EXAMPLES, len(texts)))]


def _most_first(counts: Mapping[Any, int]) -> dict[str, int]:
    """By count, then by name; without the count of what has no value, and of many values the first ones."""
    named = [(str(name), count) for name, count in counts.items() if name is not None]
    return dict(sorted(named, key=lambda item: (-item[1], item[0]))[:_MOST_VALUES])
