"""A model of FiftyOne's zoo as a label source: detections, instances, semantic or panoptic masks become ``Labels``.

FiftyOne loads the models as it always does, downloads and pickles of its list included: whoever names one trusts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError, ModelError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.settings import ZooSettings
from diffucurate.generator.models.load import checked_device
from diffucurate.generator.sources.detector_classes import matched_classes, unmapped_classes
from diffucurate.plugin.store.instances import UnreadableInstanceError, read_instance
from diffucurate.plugin.store.label_fields import LabelField
from diffucurate.plugin.store.label_objects import objects_in
from diffucurate.plugin.zoo.models import asked_in_words, check_zoo_model


class ZooSource:
    """Labels images with a model of FiftyOne's zoo; follows the ``LabelSource`` protocol.

    A model whose name in the zoo has the tag ``zero-shot`` is asked for all of the classes; of others their own class
    names are matched as ``matched_classes`` does. Detections without masks are boxes. Each connected part of a class in
    a semantic mask is an instance, of confidence 1: FiftyOne keeps no probabilities of pixels.
    """

    name = "zoo"

    def __init__(
        self,
        model: str,
        classes: Iterable[str],
        class_map: Mapping[str, str] | None = None,
        device: str | None = None,
        min_confidence: float = 0.25,
    ) -> None:
        """Load the model; FiftyOne downloads it where it is not there yet.

        Args:
            model: its name in the zoo.
            classes: the classes to label; ids are 1 + index.
            class_map: names of the model's classes -> names in ``classes``, as ``matched_classes`` takes it.
            device: as torch names it; FiftyOne's choice by default.
            min_confidence: detections below are dropped, in [0, 1].

        Raises:
            InvalidSetting: no such model, or an entry of ``class_map`` that the model or ``classes`` does not know.
            ModelError: there is no such device; it cannot be loaded or downloaded, does not say its classes, or has
                none of those that are wanted.
        """
        import fiftyone.zoo as foz

        check_zoo_model(model)
        self.classes = tuple(classes)
        self._settings = ZooSettings(min_confidence=min_confidence)
        asked = {"classes": list(self.classes)} if asked_in_words(model) else {}
        placed = {} if device is None else {"device": checked_device(device)}
        try:
            self._model: Any = foz.load_zoo_model(model, **asked, **placed)
        except Exception as error:  # downloads, packages and weights each have their own
            raise ModelError(f"zoo model '{model}' cannot be loaded: {str(error).strip()[:300]}") from error
        names = {index: name for index, name in enumerate(self.classes)} if asked else _class_names(self._model, model)
        targets = matched_classes(names, self.classes, class_map or {}, model)
        self._targets = {names[index]: target for index, target in targets.items()}
        self._field = LabelField(model, names)
        #: Those of ``classes`` that the model has no class for.
        self.unseen = tuple(name for name in self.classes if name not in self._targets.values())
        #: The model's own that are none of ``classes``.
        self.unmapped = unmapped_classes(names, targets)

    def label(self, images: Sequence[NDArray[np.uint8]], /) -> list[Labels]:
        """Labels for each image, (H, W, 3) uint8 RGB of any size.

        Raises:
            LabelError: the model gives neither objects nor a mask of classes.
        """
        with self._model:
            if getattr(self._model, "ragged_batches", True):
                predictions = [self._model.predict(image) for image in images]
            else:
                predictions = self._model.predict_all(list(images))
        return [
            Labels.from_instances(list(self._instances(prediction, image.shape[:2])), self.classes, image.shape[:2])
            for prediction, image in zip(predictions, images, strict=True)
        ]

    def _instances(self, prediction: Any, shape: tuple[int, int]) -> Iterator[Instance]:
        if isinstance(prediction, Mapping):  # some give masks and detections, by names of their own
            prediction = min(prediction.values(), key=lambda label: not isinstance(label, fo.Detections), default=None)
        if isinstance(prediction, fo.Segmentation):
            prediction.mask = _of_size(prediction.get_mask(), shape)
            for part in objects_in(prediction, shape, self._field).objects:
                if part.label in self._targets:
                    yield Instance(self._targets[part.label], part.mask, 1.0)
        elif isinstance(prediction, fo.Detections):
            for detection in prediction.detections:
                try:
                    instance = read_instance(detection, shape, box_suffices=True)
                except UnreadableInstanceError:
                    continue
                if instance.label in self._targets and instance.confidence >= self._settings.min_confidence:
                    label = self._targets[instance.label]
                    yield Instance(label, instance.mask, instance.confidence, boxed=instance.boxed)
        elif prediction is not None:
            raise LabelError(f"the zoo model gives {type(prediction).__name__}, not detections or a mask of classes")


def _of_size(mask: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.generic]:
    """A mask of class ids at (height, width) ``shape``, each pixel the nearest of those that the model gave."""
    rows, columns = (np.arange(size) * given // size for size, given in zip(shape, mask.shape, strict=True))
    return mask[np.ix_(rows, columns)]


def _class_names(model: Any, name: str) -> dict[int, str]:
    """The model's classes by their values in its masks; a value of 0 is background there."""
    targets = getattr(model, "mask_targets", None) or dict(enumerate(getattr(model, "classes", None) or ()))
    names = {int(value): label for value, label in targets.items() if str(value).isdecimal()}
    if not names:
        raise ModelError(f"zoo model '{name}' does not say which classes it knows; use another one")
    return names
