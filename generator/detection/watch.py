"""The features of a run that paints: those of the one step whose noise is nearest to the reader's.

A head then finds the objects of an image in what the model itself held while it painted that, without another pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from diffucurate.generator.attention.families import family_of
from diffucurate.generator.detection.features import FeatureReader
from diffucurate.generator.errors import ModelError


class PaintingWatch:
    """``features`` are those of the nearest step so far, (images, channels, h, w) float32 each, the coarser ones first.

    ``level`` is the noise of that step, as a share of the schedule.
    """

    def __init__(self) -> None:
        self.level = math.inf
        self._states: list[Tensor] = []
        self._rows: slice | None = None

    @property
    def features(self) -> list[Tensor]:
        if not self._states:
            raise ModelError("the model was not called while it painted, so that it has no features of the image")
        return sorted((each.float() for each in self._states), key=lambda each: each.shape[-1])


@contextmanager
def watching(reader: FeatureReader, images: int, size: tuple[int, int]) -> Iterator[PaintingWatch]:
    """A block in which a pipeline with the reader's model paints so many images of (width, height) ``size`` at once.

    A step as near as an earlier one does not count: where guidance has passes of its own, the prompts' come first.
    """
    family, watch = family_of(reader.pipe), PaintingWatch()

    def begin(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        current, watch._rows = family.read_pass(family.named(args, kwargs)), None
        if current is not None and abs(current.level - reader.noise) < abs(watch.level - reader.noise) - 1e-9:
            watch.level, watch._states = current.level, []
            watch._rows = family.rows_of_images(len(current.latents), images)

    def keep(module: Any, args: Any, output: Any) -> None:
        if watch._rows is not None:
            watch._states.append(reader.grid(output, size)[watch._rows].detach())

    handles = [family.model.register_forward_pre_hook(begin, with_kwargs=True)]
    handles += [block.register_forward_hook(keep) for block in reader.blocks()]
    try:
        yield watch
    finally:
        for handle in handles:
            handle.remove()
