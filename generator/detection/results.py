"""What a training leaves: an adapter and its figures. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diffucurate.generator.detection.files import AdapterFiles


@dataclass(frozen=True)
class TrainedAdapter:
    """An adapter on disk after so many steps, and its average precision at IoU 0.5 by class, of masks (of boxes where
    no masks were learned), on the images that no step learned from (``AdapterSettings.val``)."""

    files: AdapterFiles
    steps: int
    precision: Mapping[str, float]

    @property
    def weights(self) -> Path:
        """For ``label(..., source="adapter", weights=...)``."""
        return self.files.weights

    @property
    def map50(self) -> float:
        """The mean of ``precision`` over the classes that the images show."""
        return sum(self.precision.values()) / len(self.precision) if self.precision else 0.0

    @property
    def curves(self) -> Mapping[str, list[float]]:
        """Column -> its values (``AdapterFiles.read_curves``)."""
        return self.files.read_curves()
