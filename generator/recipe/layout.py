"""The mask that a job is painted by, as its recipe names it. Light: no pixels, which ``attention.control`` knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LayoutSource:
    """Where a job's mask comes from, and how strictly the image keeps to it.

    ``field`` is a label source or field of the sample, ``digest`` that of the mask's classes and pixels at the image's
    size. ``until``, ``boost``, ``words`` and ``guide`` are as in ``layout_config.LayoutConfig``.
    """

    dataset: str
    sample_id: str
    field: str
    digest: str
    until: float
    boost: float
    words: str
    guide: float = 0.0

    def content(self) -> dict[str, Any]:
        """What decides pixels: the same mask under another name leads to the same image."""
        names = ("digest", "until", "boost", "words", *(["guide"] if self.guide else []))
        return {"layout": {name: getattr(self, name) for name in names}}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON and databases."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayoutSource:
        """What ``to_dict`` wrote."""
        return cls(**data)
