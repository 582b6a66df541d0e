"""The init image of a job, as its recipe names it. Light: no pixels, which ``painting.init_images`` knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Region:
    """Which part of an init image is painted anew: an object, grown by a margin.

    ``instance`` is the id of the object in ``field``, ``label`` its class, ``margin`` what it was grown by as a share
    of the square root of its area; ``digest`` is that of the grown mask at the init image's own size. ``shape`` is
    ``keep`` where the new object is painted into the outline of the old one.
    """

    field: str
    instance: str
    label: str
    margin: float
    digest: str
    shape: str | None = None

    def content(self) -> dict[str, Any]:
        """What decides pixels."""
        return {"region": self.digest, **({} if self.shape is None else {"shape": self.shape, "margin": self.margin})}


@dataclass(frozen=True)
class InitImage:
    """The image that a job starts from, and how far it goes from there.

    ``digest`` is that of its pixels; ``strength``, in (0, 1], is the share of the steps that are taken.
    ``template`` is its own, where the prompt came from that. Only what decides the painted pixels counts for a job's
    id (``content``): the same init image under another name leads to the same image.
    """

    dataset: str
    sample_id: str
    digest: str
    strength: float
    region: Region | None = None
    template: str | None = None

    def content(self) -> dict[str, Any]:
        """What decides pixels."""
        region = {} if self.region is None else self.region.content()
        return {"digest": self.digest, "strength": self.strength, **region}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without what there is none of."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> InitImage:
        """What ``to_dict`` wrote."""
        region = data.get("region")
        return cls(**{**data, "region": None if region is None else Region(**region)})
