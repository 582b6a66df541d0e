"""What a training leaves: a segmenter and its figures. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffucurate.generator.segmenters.files import SegmenterFiles


@dataclass(frozen=True)
class SegmenterFigures:
    """Ultralytics' own average precision of boxes and masks, each in [0, 1]: at IoU 0.5 (``map50``), and the mean over
    0.5 to 0.95 (``map``). ``classes`` has the masks' at IoU 0.5 of each class that occurs."""

    box_map50: float
    box_map: float
    mask_map50: float
    mask_map: float
    classes: Mapping[str, float]

    @classmethod
    def of(cls, metrics: Any) -> SegmenterFigures:
        """Those of Ultralytics' ``SegmentMetrics``."""
        per_class = zip(metrics.seg.ap_class_index, metrics.seg.ap50, strict=True)
        return cls(
            float(metrics.box.map50),
            float(metrics.box.map),
            float(metrics.seg.map50),
            float(metrics.seg.map),
            {metrics.names[int(index)]: float(value) for index, value in per_class},
        )

    def overall(self) -> dict[str, float]:
        """The figures over all classes, by name."""
        return {name: value for name, value in asdict(self).items() if name != "classes"}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class TrainedSegmenter:
    """A segmenter on disk, after how many epochs the best one ended training, and its figures on the images that no
    step learned from (``SegmenterSettings.val``)."""

    files: SegmenterFiles
    epochs: int
    figures: SegmenterFigures

    @property
    def weights(self) -> Path:
        """For ``label(..., source="yolov8", weights=...)``."""
        return self.files.weights

    @property
    def curves(self) -> Mapping[str, list[float]]:
        """Column -> its value after each epoch (``SegmenterFiles.read_curves``)."""
        return self.files.read_curves()
