"""How an adapter is trained: a strict, frozen config that forms, the command line and Python build alike. Light."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from diffucurate.generator.validation import StrictSettings


class AdapterSettings(StrictSettings):
    """How one adapter is trained.

    Raises:
        InvalidSetting: a setting out of range or of another type.
    """

    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 1500
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 8
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    noise: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """The noise of the one pass by which features are read, as a share of the model's schedule."""
    width: Annotated[int, Field(ge=8, le=1024)] = 96
    """Channels of the head, a multiple of 8."""
    val: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the images that no step learns from: the figures are theirs."""
    zoom: Annotated[float, Field(ge=1, le=4)] = 1.4
    """Images are seen at random scales between its inverse and this, shifted at random."""
    flip: bool = True
    """Whether half of the images are seen in a mirror; not for text or lanes."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    def preparation(self) -> dict[str, Any]:
        """Plain data of all that a stopped run must share with the call that goes on with it."""
        return self.model_dump(mode="json")
