"""Which pass is read by settings that read one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from diffucurate.generator.attention.families import Pass
from diffucurate.generator.attention.settings import GOCA
from diffucurate.generator.attention.trace.pass_choice import PassChoice


class Schedule:
    def __init__(self, steps: Sequence[int] | None, number: int | None) -> None:
        self.timesteps = None if steps is None else torch.tensor(list(steps))
        self.num_inference_steps = number


@pytest.mark.parametrize(
    ("schedule", "came", "read"),
    [
        (Schedule([751, 501, 251, 101, 1], 5), [751, 501, 251, 101, 1], [101]),
        (Schedule([751, 501, 251, 1], 4), [751, 501, 251, 1], [1]),
        (Schedule([751, 501, 101, 1], 4), [101, 1], [101]),  # an init image, of which little is changed
        (Schedule([751, 501, 101, 1], 4), [1], [1]),
        (Schedule([500, 500, 100, 100], 4), [500, 500, 100, 100], [100]),  # two calls a step: the first one
        (Schedule([751, 496, 249, 99], 4), [752, 500, 250, 100], [100]),  # told to the model in half precision
        (Schedule(None, None), [900, 300, 50], [900, 300, 50]),  # nobody knows what is to come: the last one stands
        (Schedule(range(999, -1, -1), None), [999, 500, 51, 1], [999, 51]),  # no schedule was set
    ],
)
def test_one_pass_is_read(schedule: Schedule, came: list[int], read: list[int]) -> None:
    choice, found = PassChoice(schedule, 1000, GOCA), []
    for step in came:
        current = Pass(torch.zeros(1), torch.zeros(1), step, 1000, {})
        choice.begin(current)
        if choice.counts(current):
            found.append(step)
    assert found == read
