"""Whether the new attention finds the labels again that augmented images took over from their parents.

An object that img2img painted away, moved or made another thing of keeps its old label all the same; the attention that
painted the image knows nothing of that label.
"""

from __future__ import annotations

import fiftyone as fo

from diffucurate.generator.recipe.augment_config import Augmentation
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.generation.prepare import SOURCE
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.samples import all_images, parts_of

#: Least IoU of a carried label and an attention label that are taken for the same object.
_SAME = 0.1


def confirm_carried(dataset: fo.Dataset, augment: Augmentation) -> None:
    """Compare the carried labels of all augmented images with the attention labels, and tag those not found again.

    Each label gets ``iou_with_attention``, each image ``agreement_<field>_attention``; labels whose IoU is below
    ``augment.min_iou`` have the tag ``unconfirmed``.
    """
    samples = all_images(dataset).match_tags(field_names.AUGMENTED).exists(field_names.instances(SOURCE))
    path = detections_field(samples, dataset, augment.field) if samples else None
    if path is None or not samples.exists(path):
        return
    compare(samples, augment.field, SOURCE, iou=_SAME)
    iou = f"{path}.detections.{field_names.iou_with(SOURCE)}"
    for part in parts_of(samples.exists(path)):
        changed: dict[str, list[str]] = {}
        for of_sample in zip(*part.values([f"{path}.detections.id", iou, f"{path}.detections.tags"]), strict=True):
            for identifier, overlap, tags in zip(*(each or () for each in of_sample), strict=True):
                others = [tag for tag in tags or () if tag != field_names.UNCONFIRMED]
                new = [*others, field_names.UNCONFIRMED] if (overlap or 0.0) < augment.min_iou else others
                if new != list(tags or ()):
                    changed[identifier] = new
        if changed:
            part.set_label_values(f"{path}.detections.tags", changed)
