"""Weighted prompts are read within a bound, and what cannot be read is said."""

from __future__ import annotations

import time

import pytest

from diffucurate.generator.text.weighted_prompts import MOST_NESTED, compel_syntax, unread_weight, weights_problem


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a red car++ on a (road)1.3",
        "a (red (car)1.2)0.8, a bus--",
        r"a sign that says \(stop\) and (a car)1.1",
        "a car (seen from above) and.so on",
        "(" * MOST_NESTED + "car" + ")1.1" * MOST_NESTED,
    ],
)
def test_usual_prompts_pass(prompt: str) -> None:
    assert weights_problem(prompt) is None


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ("a (red car", "the bracket at letter 3 is not closed"),
        ("a (red (car) on", "the bracket at letter 3 is not closed"),
        ("a red) car", "the bracket at letter 6 closes none"),
        (r"a (red\) car", "the bracket at letter 3 is not closed"),
        ("a ((((((((((((car))))))))))))", "brackets stand in one another"),
        ("(a)1.1 " * 200, "more than 100 brackets"),
        ("car " * 9_000, "36,000 letters"),
        ('("a car", "a bus").blend(0.5, 0.5)', r"\.blend\(\.\.\.\) changes more than weights"),
        ("a car.swap(bus)", r"\.swap\("),
        ('("a car", "a bus").and()', r"\.and\("),
        ("a car withLora(x, 1)", r"withLora\("),
    ],
)
def test_what_cannot_be_read_is_said_at_once(prompt: str, problem: str) -> None:
    import re

    started = time.monotonic()
    found = weights_problem(prompt)
    assert found is not None and re.search(problem, found) and time.monotonic() - started < 0.5


@pytest.mark.parametrize(
    ("prompt", "compel"),
    [
        ("a (red car:1.3) on a road", "a (red car)1.3 on a road"),
        ("a ((red:1.2) car:0.8), fog", "a ((red)1.2 car)0.8, fog"),
        ("(car : .5)and (bus:2 )s", "(car).5 and (bus)2 s"),
        (r"\(at 10:30\), a (road)1.3, ratio 1:2, (a: b)", r"\(at 10:30\), a (road)1.3, ratio 1:2, (a: b)"),
        ("a car", "a car"),
    ],
)
def test_weights_with_a_colon(prompt: str, compel: str) -> None:
    assert compel_syntax(prompt) == compel
    assert (unread_weight([prompt]) is None) == (prompt == compel)


def test_a_weight_that_is_not_read_is_quoted() -> None:
    assert (unread_weight(["a bus", "no car, (fog, haze:1.4)"]) or "").startswith("'(fog, haze:1.4)' is read letter")
