"""Semantic masks of two sources in FiftyOne's evaluation of segmentations."""

from __future__ import annotations

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.text.class_names import folded
from diffucurate.plugin.store import field_names

#: What FiftyOne's panel calls the pixels of no class.
_BACKGROUND = "background"


def semantic_fields(dataset: fo.Dataset, prediction: str, truth: str) -> tuple[str, str, dict[int, str]] | None:
    """The Segmentation fields of two sources, or of these very names, and what their ids mean; None where one has none
    or their ids differ."""
    fields = [_segmentation(dataset, name) for name in (prediction, truth)]
    targets = [_targets(dataset, field) if field else {} for field in fields]
    shared = {value: label for value, label in targets[1].items() if value != 0}
    others = targets[0]
    same = shared and all(value in others and folded(others[value]) == folded(label) for value, label in shared.items())
    if fields[0] is None or fields[1] is None or not same:
        return None
    return fields[0], fields[1], {0: _BACKGROUND, **shared}


def evaluate_masks(
    samples: fo.DatasetView, prediction: str, truth: str, targets: dict[int, str], *, key: str
) -> str | None:
    """Evaluate semantic masks of samples that have both, under a key, which is returned; None where no sample has.

    Pixels of ids that ``targets`` lacks, such as 255, do not count.
    """
    labelled = samples.match((F(prediction) != None) & (F(truth) != None))  # noqa: E711  (a database expression)
    if not labelled:
        return None
    dataset = fo.load_dataset(samples.dataset_name)
    if key in dataset.list_evaluations():
        dataset.delete_evaluation(key)
    labelled.evaluate_segmentations(prediction, gt_field=truth, eval_key=key, mask_targets=targets, progress=False)
    return key


def _segmentation(dataset: fo.Dataset, name: str) -> str | None:
    own = field_names.mask(field_names.part(name)) if field_names.part(name).isidentifier() else name
    for path in (own, name):
        field = dataset.get_field(path)
        if isinstance(field, fo.EmbeddedDocumentField) and field.document_type is fo.Segmentation:
            return path
    return None


def _targets(dataset: fo.Dataset, field: str) -> dict[int, str]:
    targets = dataset.mask_targets.get(field) or dataset.default_mask_targets or {}
    return {int(value): label for value, label in targets.items() if str(value).isdecimal()}
