"""Which passes of a run are read, by their noise. Knows neither layers nor words."""

from __future__ import annotations

from typing import Any

import torch

from diffucurate.generator.attention.capture.self_attention import SelfAttention
from diffucurate.generator.attention.families import Pass
from diffucurate.generator.attention.settings import TraceSettings


class PassChoice:
    """Asked of each pass of one run, in order.

    Args:
        scheduler: the pipeline's, whose time steps say which passes are to come.
        schedule: the number of noise steps the model was trained with.
        settings: ``noise``, ``pass_at`` and ``refine_noise`` apply.
    """

    def __init__(self, scheduler: Any, schedule: float, settings: TraceSettings) -> None:
        self._scheduler, self._schedule, self._settings = scheduler, schedule, settings
        self._levels: list[float] | None = None  # of the passes of the run, as far as is known when it begins
        self._best: float | None = None  # how far from ``pass_at`` the nearest pass was that was read
        self._by_level = False  # whether the passes that refine are chosen by their noise

    def begin(self, current: Pass) -> None:
        """Note the schedule, once the first pass begins."""
        if self._levels is not None:
            return
        steps = self._scheduler.timesteps  # None before a schedule is set, as direct calls may leave it
        self._levels = [] if steps is None else (torch.as_tensor(steps) / self._schedule).tolist()
        reach = self._settings.refine_noise
        self._by_level = reach is not None and any(reach[0] <= level <= reach[1] for level in self._levels)

    def counts(self, current: Pass) -> bool:
        """Whether the words' attention of a pass is read."""
        if self._settings.pass_at is None:
            return current.within(self._settings.noise)
        level = current.level
        distance = abs(level - self._settings.pass_at)
        nearest = min((abs(each - self._settings.pass_at) for each in self._to_come(level)), default=distance)
        # Where no schedule was set, nobody knows what is to come: the first pass stands until a nearer one comes by.
        unknown = self._best is None and getattr(self._scheduler, "num_inference_steps", None) is None
        if not unknown and (nearest < distance or (self._best is not None and self._best <= distance)):
            return False
        self._best = distance
        return True

    def _to_come(self, level: float) -> list[float]:
        """The levels of the schedule from the pass at ``level`` on, which the model may have been told rounded."""
        levels = self._levels or []
        if not levels:
            return []
        own = min(levels, key=lambda each: abs(each - level))
        return [each for each in levels if each < own]

    def refines(self, current: Pass, counts: bool, refinement: SelfAttention) -> bool:
        """Whether a pass's self-attention is read: by its noise, where the schedule has such passes at all."""
        return refinement.due(current.level) if self._by_level else counts
