from __future__ import annotations

import math

import pytest

from diffucurate.generator import progress
from diffucurate.generator.progress import Meter, Progress, announce, part_of, step_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that ``time.monotonic`` says, as the only item."""
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


def test_pace_and_rest_follow_from_counts_and_time(clock: list[float]) -> None:
    reports: list[Progress] = []
    meter = Meter(reports.append, 10, "captions")
    meter.reach(0, "starting")
    clock[0] = 2.0
    meter.advance(4)
    assert reports == [
        Progress(0, 10, 0.0, math.inf, "starting", "captions"),
        Progress(4, 10, 2.0, 3.0, "", "captions"),
    ]


def test_what_an_earlier_run_did_is_no_part_of_the_pace(clock: list[float]) -> None:
    reports: list[Progress] = []
    meter = Meter(reports.append, 10, done=6, images_each=8)
    clock[0] = 1.0
    meter.reach(8)
    assert reports == [Progress(8, 10, 16.0, 1.0)]  # 2 counts of 8 images in a second, and 2 counts left


def test_a_note_can_come_before_anything_is_done() -> None:
    reports: list[Progress] = []
    announce(reports.append, "left out a.png", 3)
    announce(None, "nobody listens")
    assert reports == [Progress(0, 3, 0.0, math.inf, "left out a.png")]


def test_steps_in_a_row_become_one_count() -> None:
    reports: list[Progress] = []
    for index in range(2):
        meter = Meter(step_of(reports.append, index, 2), total=3)
        for _ in range(3):
            meter.advance()
    assert [(report.done, report.total) for report in reports] == [(done, 6) for done in range(1, 7)]
    assert reports[0].seconds_left > 0 and reports[-1].seconds_left == 0
    listener = step_of(reports.append, 0, 2)
    assert listener is not None
    listener(Progress(0, 3, 0.0, math.inf))
    assert reports[-1].seconds_left == math.inf


def test_one_step_is_the_listener_itself() -> None:
    assert step_of(print, 0, 1) is print and step_of(None, 1, 2) is None


def test_a_part_counts_in_the_whole() -> None:
    reports: list[Progress] = []
    listener = part_of(reports.append, 5, 20)
    assert listener is not None
    listener(Progress(5, 10, 2.0, 2.5, "a note"))
    assert reports == [Progress(10, 20, 2.0, 5.0, "a note")]
    assert part_of(None, 5, 20) is None


@pytest.mark.parametrize(
    ("report", "share", "pace"),
    [
        (Progress(0, 0, 0.0, math.inf), 0.0, ""),
        (Progress(0, 4, 0.0, math.inf), 0.0, ""),
        (Progress(1, 4, 0.25, 12.0), 0.25, "0.2 images/s, 0:12 left"),
        (Progress(1, 4, 0.01, 3725.0, unit="captions"), 0.25, "0.0 captions/s, 62:05 left"),
        (Progress(4, 4, 2.0, 0.0), 1.0, "2.0 images/s"),
    ],
)
def test_share_and_pace(report: Progress, share: float, pace: str) -> None:
    assert (report.share, report.pace) == (share, pace)
