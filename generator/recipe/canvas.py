"""The regions of a canvas, as a job names them. Light: no pixels, which ``painting.canvas`` knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class CanvasRegion:
    """An object's place: ``prompt`` is painted within ``box``, (x, y, width, height) in pixels.

    ``phrases`` are the classes that the prompt mentions, with the phrases of each that do.
    """

    prompt: str
    box: tuple[int, int, int, int]
    phrases: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Canvas:
    """The regions of an image, the rearmost first, and what is around them.

    ``tries`` and ``min_confidence`` are as in ``canvas_config.CanvasConfig``.
    """

    background: str
    regions: tuple[CanvasRegion, ...]
    tries: int = 2
    min_confidence: float = 0.5

    def content(self) -> dict[str, Any]:
        """What decides pixels and labels."""
        return {"canvas": self.to_dict()}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON and databases."""
        # The order in which a recipe lists phrases changes nothing.
        regions = [
            {**asdict(region), "box": list(region.box), "phrases": {k: sorted(v) for k, v in region.phrases.items()}}
            for region in self.regions
        ]
        return {**asdict(self), "regions": regions}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Canvas:
        """What ``to_dict`` wrote."""
        regions = tuple(
            CanvasRegion(
                each["prompt"], tuple(each["box"]), {name: tuple(words) for name, words in each["phrases"].items()}
            )
            for each in data["regions"]
        )
        return cls(data["background"], regions, data["tries"], data["min_confidence"])
