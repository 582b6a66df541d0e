"""How labels of several sources are fused. Light: no torch, no OpenCV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.validation import StrictSettings

#: The greatest trust.
_MOST = 100

_Share = Annotated[float, Field(ge=0, le=1)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _lone(value: Any) -> float | dict[str, float]:
    each = value if isinstance(value, Mapping) else {"": value}
    if not all(_is_number(share) and 0 <= share <= 1 for share in each.values()):
        raise ValueError("give a share from 0 to 1, or one for each source by its name")
    shares = {str(name): float(share) for name, share in each.items()}
    return shares if isinstance(value, Mapping) else shares[""]


def _trust(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or not all(_is_number(much) and 0 < much <= _MOST for much in value.values()):
        raise ValueError(f"give a number above 0 and at most {_MOST} for each source by its name")
    return {str(name): float(much) for name, much in value.items()}


class FusionSettings(StrictSettings):
    """What counts as the same object, what is kept, and how outlines are made."""

    called: ClassVar[str] = "a fusion"
    error: ClassVar[type[InvalidSetting]] = InvalidSetting

    iou: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Least IoU of what two sources take for one object."""
    lone: Annotated[float | Mapping[str, float], PlainValidator(_lone)] = 0.4
    """Least fused confidence of an object that one source alone has: of every source, or by the source's name, where
    sources that are not named keep none alone."""
    method: Literal["auto", "weighted", "em"] = "auto"
    """How an object's outline is made of its outlines by the sources. ``weighted``: the mean of their distances, the
    more confident and trusted counting more. ``em``: by how often each source is estimated to be right (Dawid & Skene
    1979; STAPLE, Warfield et al. 2004), which needs three; with two it returns what both have. ``auto``: EM where three
    have it."""
    trust: Annotated[Mapping[str, float], PlainValidator(_trust)] = Field(default_factory=dict)
    """Source -> how much its outlines count, 1 where it is not named; EM estimates that itself."""
    margin: _Share = 0.2
    """Where objects of two classes overlap and their confidences differ by less, the pixels' class is left open: 255 in
    the semantic mask."""
