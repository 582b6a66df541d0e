"""FiftyOne's COCO evaluation in parts, with an average precision that is added up on the way.

The matching, the IoU and the results are FiftyOne's, and so is what is stored: it loads the results as its own, without
this library. Its own loop reads each sample as an object and saves it again, which takes most of the time; for average
precision it then reads all of them a second time, measures each IoU again, and holds each match of each of ten
thresholds in memory until the end. Imported where it is used: FiftyOne loads its evaluation late, too.

This module and ``plugin.fiftyone_private`` alone use FiftyOne's private names; ``CHECKED`` there holds for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou
import fiftyone.utils.eval.coco as fouc
import fiftyone.utils.eval.detection as foud

from diffucurate.generator.progress import Meter
from diffucurate.plugin.comparison.precision import PrecisionSweep, Predicted, Truth
from diffucurate.plugin.fiftyone_private import aggregate
from diffucurate.plugin.store.samples import parts_of

__all__ = ["evaluate_as_coco"]

_Match = tuple[Any, ...]


def evaluate_as_coco(
    samples: fo.DatasetView, field: str, reference: str, *, key: str, meter: Meter | None = None, **settings: Any
) -> Any:
    """``samples.evaluate_detections(field, gt_field=reference, eval_key=key, method="coco")``.

    Args:
        samples: all have both fields.
        field, reference: of Detections.
        key: of the evaluation.
        meter: of samples.
        settings: those of FiftyOne's ``COCOEvaluationConfig``, such as ``iou`` and ``compute_mAP``.

    Raises:
        Exception: FiftyOne has many for labels that it cannot use.
    """
    config = fouc.COCOEvaluationConfig(field, reference, **settings)
    evaluation = config.build()
    evaluation.register_run(samples, key)
    evaluation.register_samples(samples, key)
    sweep = PrecisionSweep(config.iou_threshs) if config.compute_mAP else None
    matches: list[_Match] = []
    for part in parts_of(samples):
        matches += _evaluate_part(part, config, key, sweep)
        if meter is not None:
            meter.advance(len(part))
    if sweep is None:
        results = foud.DetectionResults(samples, config, key, matches, backend=evaluation)
    else:
        curves = sweep.curves()
        results = fouc.COCODetectionResults(
            samples,
            config,
            key,
            matches,
            curves.precision,
            curves.recall,
            config.iou_threshs,
            curves.classes,
            recall_sweep=curves.sweep,
            thresholds=curves.thresholds,
            backend=evaluation,
        )
    evaluation.save_run_results(samples, key, results)
    evaluation.add_fields_to_sidebar_group(samples, key, omit_fields=(field, reference))
    return results


class _Object(dict[str, Any]):
    """A detection as the database holds it, with what FiftyOne's matching asks of a ``Detection``."""

    @cached_property
    def id(self) -> str:
        return str(self["_id"])

    @property
    def label(self) -> str | None:
        return self.get("label")

    @property
    def confidence(self) -> Any:
        return self.get("confidence")

    @property
    def bounding_box(self) -> Any:
        return self.get("bounding_box")

    def get_attribute_value(self, name: str, default: Any = None) -> Any:
        attribute = (self.get("attributes") or {}).get(name)
        return attribute.get("value", default) if isinstance(attribute, dict) else self.get(name, default)

    def get_mask(self) -> Any:
        return self._mask

    @cached_property
    def _mask(self) -> Any:
        if self.get("mask") is not None:
            return fou.deserialize_numpy_array(self["mask"])
        return fo.Detection(mask_path=self.get("mask_path")).get_mask()


class _Labels(dict[str, Sequence[_Object]]):
    """What FiftyOne's matching asks of ``Detections``."""

    _LABEL_LIST_FIELD = "detections"


def _evaluate_part(part: fo.DatasetView, config: Any, key: str, sweep: PrecisionSweep | None) -> list[_Match]:
    """The matches of some samples, which are written on their objects."""
    paths = (config.pred_field, config.gt_field)
    documents = aggregate(part, [{"$project": {f"{path}.detections": True for path in paths}}])
    matches: list[_Match] = []
    objects: dict[str, list[list[_Object]]] = {path: [] for path in paths}
    counts: list[tuple[int, int, int]] = []
    for document in documents:
        for path in paths:
            objects[path].append([_Object(each) for each in document[path].get("detections") or ()])
        of_sample = _matched(objects[paths[0]][-1], objects[paths[1]][-1], config, key, sweep)
        counts.append(foud._tally_matches(of_sample))
        matches += of_sample
    for path, of_samples in objects.items():
        for name in (key, f"{key}_id", f"{key}_iou"):
            values = [[each[name] for each in of_sample] for of_sample in of_samples]
            part.set_values(f"{path}.detections.{name}", values)
    for name, column in zip(("tp", "fp", "fn"), zip(*counts, strict=True), strict=True):
        part.set_values(f"{key}_{name}", list(column))
    return matches


def _matched(
    predictions: list[_Object], truths: list[_Object], config: Any, key: str, sweep: PrecisionSweep | None
) -> list[_Match]:
    """Match the objects of a sample, as FiftyOne does, and add them to the sweep over IoU thresholds."""
    keys = {"id_key": f"{key}_id", "iou_key": f"{key}_iou"}
    groups, ious, is_crowd = fouc._coco_evaluation_setup(
        _Labels(detections=truths), _Labels(detections=predictions), [keys["id_key"]], keys["iou_key"], config
    )
    for group in groups.values():
        if sweep is None:
            break
        known = {each.id: Truth(each.label, is_crowd(each)) for each in group["gts"]}
        surest = group["preds"][: config.max_preds]
        sweep.add(known, [Predicted(each.label, each.confidence, ious[each.id]) for each in surest])
    least = min(config.iou, 1 - 1e-10)
    matched = fouc._compute_matches(groups, ious, least, is_crowd, eval_key=key, **keys)
    return [match[:-1] for match in matched]  # without whether it is a crowd
