"""How a segmenter is trained: a strict, frozen config that forms, the command line and Python build alike. Light."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from diffucurate.generator.validation import StrictSettings

#: Trained from nothing by default: the smallest segmenter that Ultralytics has had for long.
DEFAULT_START = "yolov8n-seg"


def _whole_grid(value: int) -> int:
    if value % 32:
        raise ValueError("give a multiple of 32, the step of the network's coarsest grid, such as 640")
    return value


class SegmenterSettings(StrictSettings):
    """How one segmenter is trained.

    Raises:
        InvalidSetting: a setting out of range or of another type.
    """

    start: Annotated[str, Field(min_length=1)] = DEFAULT_START
    """The name of an Ultralytics architecture, such as ``yolov8n-seg``, whose weights are random; or the path of a
    segmentation checkpoint (.pt), whose training goes on with other data: its classes need not be the same."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many times each image is seen, at most."""
    patience: Annotated[int, Field(ge=0, le=10_000)] = 30
    """Training ends after so many epochs without a better one; 0: never before the last epoch."""
    image_size: Annotated[int, Field(ge=32, le=4096), AfterValidator(_whole_grid)] | None = None
    """Longer side in pixels at which images are seen; by default that of the largest image, at most 640."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 16
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """By default what Ultralytics chooses by the number of classes and steps."""
    val: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the images that no step learns from: they tell the best epoch, and the figures are theirs."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    mosaic: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the training images that are mosaics of four, but for the last tenth of the epochs."""

    def preparation(self) -> dict[str, Any]:
        """Plain data of all that a stopped run must share with the call that goes on with it."""
        return self.model_dump(mode="json")
