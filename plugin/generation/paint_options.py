"""How a recipe is painted: what ``generate`` was asked besides the recipe. Changes no image but for rounding."""

from __future__ import annotations

from dataclasses import dataclass

from diffucurate.generator.progress import Listener


@dataclass(frozen=True)
class PaintOptions:
    """The arguments of ``generate`` of these names."""

    count: int | None = None
    batch_size: int | None = None
    device: str | None = None
    share: bool = False
    progress: Listener | None = None
