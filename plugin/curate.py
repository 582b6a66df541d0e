"""Picks the samples that are good enough: a few rules become a tag and a saved view. Deletes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, RecipeError
from diffucurate.plugin import fields, runs
from diffucurate.plugin.classes import read_classes
from diffucurate.plugin.samples import dataset_of
from diffucurate.plugin.sources import instances_field

#: The tag and saved view that ``curate`` makes when no other name is given.
CURATED = "curated"


def curate(
    samples: fo.Dataset | fo.DatasetView,
    *,
    source: str,
    min_confidence: float | None = None,
    min_agreement: float | None = None,
    against: str | None = None,
    classes: Sequence[str] | None = None,
    min_area: float | None = None,
    max_area: float | None = None,
    view: str | None = None,
) -> fo.DatasetView:
    """Tag the samples of ``samples`` that pass all rules, and save them as a view.

    Rules on instances (confidence, class, area) hide every instance and polygon that breaks one; a sample in
    which no instance is left drops out. Without such a rule a sample stays whether or not anything was found in
    it: an image where two sources agree that there is nothing is a result too. Samples that ``source`` has not
    labelled always drop out.

    Curating again under the same name replaces the tag and the view. Label filters of the view passed in remain
    in the saved one.

    Args:
        source: the label source whose instances are judged.
        min_confidence: least confidence of an instance, in [0, 1].
        min_agreement: least agreement of ``source`` with ``against``, in [0, 1]; ``compare`` must have run.
        classes: only instances of these.
        min_area, max_area: share of the image an instance may cover, in [0, 1].
        view: the name of both tag and saved view, ``curated`` by default.

    Returns:
        The saved view. It may be empty.

    Raises:
        RecipeError: a rule out of range, an agreement without a partner, a class the dataset does not have.
        DatasetError: no labels of ``source``, no comparison, or a tag or saved view of that name that ``curate``
            did not make.
    """
    name = CURATED if view is None else view.strip()
    rules = {
        "source": source, "min_confidence": min_confidence, "min_agreement": min_agreement, "against": against,
        "classes": None if classes is None else list(classes), "min_area": min_area, "max_area": max_area, "view": name,
    }  # fmt: skip
    _check_rules(rules)
    dataset = dataset_of(samples)
    instances, polygons = instances_field(dataset, source), fields.polygons(source)
    _check_classes(dataset, instances, classes)
    _check_name(dataset, name)

    rule = _instance_rule(rules)
    if (min_area is not None or max_area is not None) and not dataset.has_sample_field(f"{instances}.detections.area"):
        raise DatasetError(f"the instances in '{instances}' have no 'area'; label with source '{source}' again")
    picked = samples.match(F(instances) != None)  # noqa: E711  (a database expression)
    if min_agreement is not None and against is not None:
        picked = picked.match(F(_agreement_field(dataset, source, against)) >= min_agreement)
    if rule is not None:
        picked = picked.filter_labels(instances, rule, only_matches=True)

    with runs.recorded(dataset, "curate", rules) as run:
        ids = picked.values("id")
        dataset.match_tags(name).untag_samples(name)
        dataset.select(ids).tag_samples(name)
        saved = _label_filters(samples, dataset).match_tags(name)
        if rule is not None:
            saved = saved.filter_labels(instances, rule, only_matches=False)
            if dataset.has_sample_field(polygons):
                saved = saved.filter_labels(polygons, rule, only_matches=False)
        dataset.save_view(name, saved, description=_describe(rules), overwrite=True)
        run.facts |= {"curated": len(ids), "considered": len(samples)}
    return dataset.load_saved_view(name)


def _check_rules(rules: dict[str, Any]) -> None:
    for key in ("min_confidence", "min_agreement", "min_area", "max_area"):
        value = rules[key]
        if value is not None and not 0 <= value <= 1:
            raise RecipeError(key, value, "give a number from 0 to 1")
    if rules["min_area"] is not None and rules["max_area"] is not None and rules["min_area"] > rules["max_area"]:
        raise RecipeError("min_area", rules["min_area"], f"it must not exceed max_area, which is {rules['max_area']}")
    if rules["min_agreement"] is not None and rules["against"] is None:
        raise RecipeError("against", None, "name the label source that min_agreement is about, such as 'yolov8'")
    if rules["against"] is not None and rules["min_agreement"] is None:
        raise RecipeError("min_agreement", None, f"say how far '{rules['against']}' must agree, from 0 to 1")
    if rules["classes"] is not None and not rules["classes"]:
        raise RecipeError("classes", [], "name at least one class, or leave the rule out")


def _check_classes(dataset: fo.Dataset, instances: str, classes: Sequence[str] | None) -> None:
    known = [*read_classes(dataset), *dataset.distinct(f"{instances}.detections.label")]
    for label in classes or ():
        if label not in known:
            there = ", ".join(dict.fromkeys(known))
            raise RecipeError("classes", label, f"the dataset has no such class; there are {there}")


def _check_name(dataset: fo.Dataset, name: str) -> None:
    """Refuse a name that stands for something of the user's own."""
    if not name or "," in name:
        raise RecipeError("view", name, "give a name for the tag and the saved view, without commas")
    earlier = dataset.list_runs(method=runs.method("curate"))
    if any(dataset.get_run_info(key).config.settings["view"] == name for key in earlier):
        return
    if dataset.has_saved_view(name):
        raise DatasetError(f"there is a saved view '{name}' that curate did not make; choose another name")
    if name in dataset.distinct("tags"):
        raise DatasetError(f"samples have a tag '{name}' that curate did not set; choose another name")


def _agreement_field(dataset: fo.Dataset, source: str, against: str) -> str:
    """Either comparison of the two will do; the one that was asked for goes first."""
    for name in (fields.agreement(source, against), fields.agreement(against, source)):
        if dataset.has_sample_field(name):
            return name
    raise DatasetError(f"sources '{source}' and '{against}' were not compared yet; run compare with both first")


def _instance_rule(rules: dict[str, Any]) -> Any:
    """The rules on instances as one database expression, or None if there are none."""
    parts = []
    if rules["min_confidence"] is not None:
        parts.append(F("confidence") >= rules["min_confidence"])
    if rules["classes"] is not None:
        parts.append(F("label").is_in(rules["classes"]))
    if rules["min_area"] is not None:
        parts.append(F(fields.AREA) >= rules["min_area"])
    if rules["max_area"] is not None:
        parts.append(F(fields.AREA) <= rules["max_area"])
    return F.all(parts) if parts else None


def _label_filters(samples: fo.Dataset | fo.DatasetView, dataset: fo.Dataset) -> fo.DatasetView:
    """The stages of a view that filter labels, without those that pick samples: the tag does that."""
    view = dataset.view()
    for stage in samples._stages if isinstance(samples, fo.DatasetView) else ():
        if stage.get_filtered_fields(dataset):
            view = view.add_stage(stage)
    return view


def _describe(rules: dict[str, Any]) -> str:
    said = [f"{key} {value}" for key, value in rules.items() if value is not None and key not in ("source", "view")]
    return f"Curated by Diffucurate: source {rules['source']}" + "".join(f", {text}" for text in said)
