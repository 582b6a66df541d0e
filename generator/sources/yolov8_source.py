"""Ultralytics' segmenters and detectors as a label source: instances from the image alone.

Any generation that the installed version knows will do: YOLOv8 to YOLO26 and YOLOE, as far as they are made to segment
or to detect. Detectors find boxes, of which labels have no masks.

Ultralytics is an optional extra under AGPL-3.0, so it is imported when a source is made and not before.

A ``.pt`` checkpoint is a pickle, and unpickling can run code. Each is checked before Ultralytics sees it
(``yolov8_checkpoint``), unless the caller trusts whoever made it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffucurate.generator.errors import ModelError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.settings import YoloSettings
from diffucurate.generator.models.built_in import yolo_path
from diffucurate.generator.models.load import checked_device
from diffucurate.generator.sources.detector_classes import matched_classes, unmapped_classes
from diffucurate.generator.sources.extras import ULTRALYTICS
from diffucurate.generator.sources.yolov8_checkpoint import check_checkpoint

logger = logging.getLogger(__name__)

#: What Ultralytics reads from the environment while it is imported, unless the user has set it.
_ENVIRONMENT = {
    "YOLO_OFFLINE": "true",  # no look-ups, no downloads, no usage reports
    "YOLO_AUTOINSTALL": "false",  # a checkpoint must not make it install packages
}
#: Whether it unpickles known classes only; versions that cannot ignore this.
_RESTRICTED = "ULTRALYTICS_SAFE_LOAD"


class YoloSource:
    """Labels images with a YOLO segmenter or detector; follows the ``LabelSource`` protocol."""

    name = "yolov8"

    def __init__(
        self,
        classes: Iterable[str],
        weights: str | Path | None = None,
        class_map: Mapping[str, str] | None = None,
        device: str | None = None,
        min_confidence: float = 0.25,
        max_overlap: float = 0.7,
        trust_pickle: bool = False,
    ) -> None:
        """Load the model.

        Args:
            classes: the classes to label; ids are 1 + index.
            weights: a ``.pt`` file, by default the one for the built-in world.
            class_map: names of the model's classes -> names in ``classes``, for instance {"sedan": "car"}. A class
                of the model that has the same name as one of ``classes``, whatever the capitals, underscores or
                plural, needs no entry; all others are dropped.
            device: as torch names it; by default a GPU where there is one.
            min_confidence: detections below are dropped, in [0, 1].
            max_overlap: of two detections of a class whose boxes have a greater IoU, in [0, 1], the less confident is
                dropped.
            trust_pickle: read the file even if that runs code of whoever made it.

        Raises:
            ModelError: Ultralytics is not installed; there is no such device; the file is not there, is no checkpoint
                of a segmenter or detector, or reading it would run code; none of its classes is wanted.
            InvalidSetting: an entry of ``class_map`` that the model or ``classes`` does not know, or a
                number outside [0, 1].
        """
        settings = YoloSettings(min_confidence=min_confidence, max_overlap=max_overlap)
        path = Path(weights) if weights is not None else yolo_path()
        if path.suffix != ".pt" or not path.is_file():
            raise ModelError(f"{path} is not there or not a .pt file; download the checkpoint and name its path")
        self.classes = tuple(classes)
        self._device = None if device is None else checked_device(device)
        self._settings = settings
        self._model = _load(path, trust_pickle)
        #: Whether it finds boxes alone.
        self.boxes_only = self._model.task == "detect"
        if self.boxes_only:
            logger.warning("%s finds boxes: its labels have no masks and are compared by boxes", path.name)
        names = dict(self._model.names)
        self._targets = matched_classes(names, self.classes, class_map or {}, path.name)
        #: Those of ``classes`` that the model has no class for.
        self.unseen = tuple(name for name in self.classes if name not in self._targets.values())
        #: The model's own that are none of ``classes``.
        self.unmapped = unmapped_classes(names, self._targets)
        # The first prediction sets up the model, which changes torch's number of threads: have it done with.
        self._predict([np.zeros((64, 64, 3), np.uint8)])

    def label(self, images: Sequence[NDArray[np.uint8]], batch_size: int = 16) -> list[Labels]:
        """Label images of any sizes, each (H, W, 3) uint8 RGB.

        Returns:
            One Labels per image, at its own resolution, instances in the model's order (most confident first).
            Where instances overlap, the semantic mask shows the more confident one. Those of a detector are boxes,
            whose pixels are 255 in the semantic mask.
        """
        labels = []
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            for image, result in zip(batch, self._predict(batch), strict=True):
                instances = list(self._boxes(result) if self.boxes_only else self._instances(result))
                labels.append(Labels.from_instances(instances, self.classes, image.shape[:2]))
        return labels

    def _predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        # Ultralytics takes arrays for OpenCV's, whose channels run blue, green, red.
        bgr = [np.ascontiguousarray(image[..., ::-1]) for image in images]
        threads = torch.get_num_threads()
        try:
            return list(
                self._model.predict(
                    bgr,
                    conf=self._settings.min_confidence,
                    iou=self._settings.max_overlap,
                    retina_masks=True,
                    device=self._device,
                    save=False,
                    verbose=False,
                )
            )
        finally:
            torch.set_num_threads(threads)

    def _instances(self, result: Any) -> list[Instance]:
        if result.masks is None:
            return []
        masks = result.masks.data.cpu().numpy() > 0
        found = zip(masks, result.boxes.cls.tolist(), result.boxes.conf.tolist(), strict=True)
        return [
            Instance(self._targets[int(index)], mask, min(float(confidence), 1.0))
            for mask, index, confidence in found
            if int(index) in self._targets and mask.any()
        ]

    def _boxes(self, result: Any) -> Iterator[Instance]:
        height, width = result.orig_shape
        found = zip(result.boxes.xyxy.tolist(), result.boxes.cls.tolist(), result.boxes.conf.tolist(), strict=True)
        for (left, top, right, bottom), index, confidence in found:
            mask = np.zeros((height, width), np.bool_)
            mask[round(top) : round(bottom), round(left) : round(right)] = True
            if int(index) in self._targets and mask.any():
                yield Instance(self._targets[int(index)], mask, min(float(confidence), 1.0), boxed=True)


def prepare_ultralytics(*, restricted: bool = True) -> None:
    """Import Ultralytics so that it neither looks online nor leaves traces in this process's environment.

    Its settings and font go to a cache folder of ours, unless ``YOLO_CONFIG_DIR`` names another. With ``restricted``
    it reads checkpoints with its own restricted loader, where it has one. Does nothing once Ultralytics is imported.

    Raises:
        ModelError: Ultralytics is not installed.
    """
    if "ultralytics" in sys.modules:
        return
    if importlib.util.find_spec("ultralytics") is None:
        raise ModelError(ULTRALYTICS.remedy("YOLOv8"))
    settings = {**_ENVIRONMENT, _RESTRICTED: "true" if restricted else "false"}
    if "YOLO_CONFIG_DIR" not in os.environ:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diffucurate"
        _provide_font(cache / "Ultralytics")
        settings = {**settings, "YOLO_CONFIG_DIR": str(cache)}
    with _environment(settings):
        importlib.import_module("ultralytics")


@contextmanager
def _environment(defaults: Mapping[str, str]) -> Iterator[None]:
    """Set what is unset, and afterwards put everything back, what others set in the meantime included."""
    before = dict(os.environ)
    os.environ.update({name: value for name, value in defaults.items() if name not in before})
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _provide_font(folder: Path) -> None:
    """Put a font where Ultralytics looks for it before it looks online, which it does even when told not to."""
    font = folder / "Arial.ttf"
    if font.exists():
        return
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", font)


def _load(path: Path, trust_pickle: bool) -> Any:
    if not trust_pickle:
        check_checkpoint(path)
    prepare_ultralytics(restricted=not trust_pickle)
    from ultralytics import YOLO

    try:
        model = YOLO(path)
    except Exception as error:  # the loader lets whatever went wrong inside the file through
        raise ModelError(f"{path} cannot be loaded as a YOLO checkpoint: {error}") from error
    if model.task not in ("segment", "detect"):
        remedy = "name a checkpoint made to segment, such as yolov8n-seg.pt, or to detect"
        raise ModelError(f"{path} is made for '{model.task}'; {remedy}")
    return model
