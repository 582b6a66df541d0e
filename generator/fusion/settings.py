"""How labels of several sources are fused. Light: no torch, no OpenCV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.validation import StrictSettings

_Share = Annotated[float, Field(ge=0, le=1)]


class FusionSettings(StrictSettings):
    """What counts as the same object, what is kept, and how outlines are made."""

    called: ClassVar[str] = "a fusion"
    error: ClassVar[type[InvalidSetting]] = InvalidSetting

    iou: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Least IoU of what two sources take for one object."""
    lone: _Share | Mapping[str, _Share] = 0.4
    """Least fused confidence of an object that one source alone has: of every source, or by the source's name, where
    sources that are not named keep none alone."""
    method: Literal["auto", "weighted", "em"] = "auto"
    """How an object's outline is made of its outlines by the sources. ``weighted``: the mean of their distances, the
    more confident and trusted counting more. ``em``: by how often each source is estimated to be right (Dawid & Skene
    1979; STAPLE, Warfield et al. 2004), which needs three; with two it returns what both have. ``auto``: EM where three
    have it."""
    trust: Mapping[str, Annotated[float, Field(gt=0, le=100)]] = Field(default_factory=dict)
    """Source -> how much its outlines count, 1 where it is not named; EM estimates that itself."""
    margin: _Share = 0.2
    """Where objects of two classes overlap and their confidences differ by less, the pixels' class is left open: 255 in
    the semantic mask."""
