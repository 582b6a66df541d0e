"""Masks of class ids for exports: those that a source stored, with the ids of the export and what a view hides."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo
import numpy as np
from fiftyone import ViewField as F
from numpy.typing import NDArray

from diffucurate.generator.exports.masks import check_class_count, class_mask
from diffucurate.generator.labels.model import IGNORE, Instance
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.instances import read_instances
from diffucurate.plugin.store.samples import all_images, dataset_of


class SemanticMasks:
    """Reads the semantic masks of a view's samples.

    A mask is the one that the source stored, or else painted from the instances, the most confident on top. Classes
    that the export does not know are background. Instances that the view hides are neither background nor known: their
    pixels are 255. ``unreadable`` lists the images whose stored mask cannot be read or has another size.

    Raises:
        ExportError: there are more classes than a mask can tell apart.
    """

    def __init__(self, samples: fo.DatasetView, source: str, field: str, classes: Sequence[str]) -> None:
        check_class_count(classes)
        self._dataset, self._path, self._classes = dataset_of(samples), field, list(classes)
        self.field = _mask_field(self._dataset, source)
        self.unreadable: list[str] = []
        self._ids = self._export_ids() if self.field is not None else None
        length = F(f"{field}.detections").length()
        shown = dict(zip(*samples.values(["id", length]), strict=True))
        every = all_images(self._dataset).select(list(shown))
        self._hiding = {
            identifier
            for identifier, count in zip(*every.values(["id", length]), strict=True)
            if count != shown[identifier]
        }

    def read(self, sample: fo.Sample, instances: Sequence[Instance], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """The (H, W) class ids of a sample of (height, width) ``shape`` whose ``instances`` are exported."""
        stored = self._stored(sample, shape)
        semantic = class_mask(stored, instances, self._classes, (shape[1], shape[0]))
        if sample.id in self._hiding:
            shown = np.zeros(shape, np.bool_)
            for instance in instances:
                shown |= instance.mask
            for hidden in self._hidden(sample, shape):
                value = 1 + self._classes.index(hidden.label)
                semantic[hidden.mask & ~shown & (semantic == (0 if stored is None else value))] = IGNORE
        return semantic

    def _export_ids(self) -> NDArray[np.uint8]:
        """Stored value -> exported id; a value without a name is unknown."""
        targets = self._dataset.mask_targets.get(self.field) or self._dataset.default_mask_targets or {}
        ids = np.full(256, IGNORE, np.uint8)
        ids[0] = 0
        for value, name in targets.items():
            if isinstance(value, int) and 0 < value < IGNORE:
                ids[value] = 1 + self._classes.index(name) if name in self._classes else 0
        return ids

    def _stored(self, sample: fo.Sample, shape: tuple[int, int]) -> NDArray[np.uint8] | None:
        label = None if self.field is None else sample[self.field]
        if label is None or self._ids is None:
            return None
        try:
            mask = label.get_mask()
        except Exception:  # FiftyOne, Pillow and the file system each have their own
            mask = None
        if mask is None or mask.shape != shape or mask.dtype.kind not in "ui":
            self.unreadable.append(sample.filepath)
            return None
        return self._ids[np.minimum(mask, IGNORE).astype(np.uint8)]

    def _hidden(self, sample: fo.Sample, shape: tuple[int, int]) -> list[Instance]:
        """The instances of exported classes that the view hides, and those that it shows."""
        whole = self._dataset[sample.id][self._path]
        return [
            each for each in read_instances(whole, shape, box_suffices=True).instances if each.label in self._classes
        ]


def _mask_field(dataset: fo.Dataset, source: str) -> str | None:
    """The Segmentation field of a source, or of that very name; None where there is none."""
    names = [field_names.mask(source)] if source.isidentifier() and not source.startswith("_") else []
    for name in (*names, source):
        field = dataset.get_field(name)
        if isinstance(field, fo.EmbeddedDocumentField) and field.document_type is fo.Segmentation:
            return name
    return None
