"""Labels by a trained adapter, from the image alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.detection.adapter import load_adapter
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.settings import AdapterLabelSettings
from diffucurate.generator.sources.detector_classes import matched_classes, unmapped_classes
from diffucurate.generator.sources.transformers_model import USUAL_BATCH, in_batches


class AdapterSource:
    """Labels images with an adapter; follows the ``LabelSource`` protocol."""

    name = "adapter"

    def __init__(
        self,
        classes: Iterable[str],
        weights: str | os.PathLike[str],
        class_map: Mapping[str, str] | None = None,
        device: str | None = None,
        batch_size: int | None = None,
        settings: AdapterLabelSettings | None = None,
    ) -> None:
        """Load the adapter and its diffusion model.

        Args:
            classes: the classes to label; ids are 1 + index.
            weights: the .safetensors file of an adapter, with its config beside it.
            class_map: the adapter's class names -> names in ``classes``.
            device: as torch names it; by default a GPU where there is one.
            batch_size: images that are looked at together.
            settings: which objects become labels.

        Raises:
            ModelError: the files are broken, the model cannot be loaded, or none of its classes is wanted.
            InvalidSetting: an entry of ``class_map`` that the adapter or ``classes`` does not know.
        """
        self._settings, self._batch = settings or AdapterLabelSettings(), batch_size or USUAL_BATCH
        self.classes, self._path = tuple(classes), Path(weights).expanduser()
        self._adapter = load_adapter(self._path, device)
        names = dict(enumerate(self._adapter.classes))
        self._targets = matched_classes(names, self.classes, class_map or {}, str(self._path))
        self.unseen = tuple(name for name in self.classes if name not in self._targets.values())
        self.unmapped = unmapped_classes(names, self._targets)

    def label(self, images: Sequence[NDArray[np.uint8]], /) -> list[Labels]:
        """Label images of any sizes, each (H, W, 3) uint8 RGB, at its own resolution.

        Raises:
            ModelError: memory runs out at a single image.
        """
        return in_batches(images, self._batch, self._labels, str(self._path))

    def _labels(self, images: Sequence[NDArray[np.uint8]]) -> list[Labels]:
        found = self._adapter.find(images, **self._settings.model_dump())
        meanings = {self._adapter.classes[index]: name for index, name in self._targets.items()}
        return [
            Labels.from_instances(
                [
                    Instance(meanings[each.label], each.mask, each.confidence, boxed=each.boxed)
                    for each in instances
                    if each.label in meanings
                ],
                self.classes,
                (image.shape[0], image.shape[1]),
            )
            for instances, image in zip(found, images, strict=True)
        ]
