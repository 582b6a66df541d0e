"""A label source of one file, as somebody would add it: whatever is brighter than a threshold is an object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from diffucurate.generator.labels.settings import SourceSettings
from diffucurate.generator.sources import Labeller, LabelRequest, PixelLabeller, SourceSpec


class BrightnessSettings(SourceSettings):
    brightness: float = Field(default=0.6, ge=0, le=1, title="Brightness", description="Pixels above it are objects.")
    channel: Literal["red", "green", "blue"] = Field(default="red", title="Channel", description="The colour to go by.")
    dark: bool = Field(default=False, title="Dark objects", description="Pixels below it are objects instead.")
    smallest: int = Field(default=1, ge=0, le=1000, title="Smallest", description="The least pixels of an object.")


class BrightnessSource:
    name = "brightness"

    def __init__(self, classes: Sequence[str], settings: BrightnessSettings) -> None:
        self._classes, self._settings = tuple(classes), settings

    def label(self, images: Sequence[Any]) -> list[Any]:
        from diffucurate.generator.labels.model import Instance, Labels

        settings, labels = self._settings, []
        for image in images:
            mask = image[..., ("red", "green", "blue").index(settings.channel)] >= settings.brightness * 255
            mask = ~mask if settings.dark else mask
            instances = [Instance(self._classes[0], mask, 0.5)] if mask.sum() >= max(settings.smallest, 1) else []
            labels.append(Labels.from_instances(instances, self._classes, mask.shape))
        return labels


def _load(request: LabelRequest[BrightnessSettings]) -> Labeller:
    return PixelLabeller(BrightnessSource(tuple(request.classes), request.settings), request)


SPEC = SourceSpec(
    name="brightness",
    title="Bright Spots",
    summary="Whatever is bright",
    images=("any",),
    classes="All of it is of the first class",
    settings=BrightnessSettings,
    load=_load,
    family="green",
    sliders=("brightness",),
    command_names={"smallest": "least_pixels"},
)
