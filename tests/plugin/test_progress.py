from __future__ import annotations

import math

from diffucurate.generator.progress import Progress
from diffucurate.plugin.progress import Meter, step_of


def test_steps_in_a_row_become_one_count():
    reports: list[Progress] = []
    for index in range(2):
        meter = Meter(step_of(reports.append, index, 2), total=3)
        for _ in range(3):
            meter.advance()
    assert [(report.done, report.total) for report in reports] == [(done, 6) for done in range(1, 7)]
    assert reports[0].seconds_left > 0 and reports[-1].seconds_left == 0
    step_of(reports.append, 0, 2)(Progress(0, 3, 0.0, math.inf))
    assert reports[-1].seconds_left == math.inf


def test_one_step_is_the_listener_itself():
    assert step_of(print, 0, 1) is print and step_of(None, 1, 2) is None
