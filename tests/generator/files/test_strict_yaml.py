"""Recipes that are attacks or accidents: bounded in time and memory, and said in one sentence."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.files.strict_yaml import read_text, read_yaml


def laughs(levels: int) -> str:
    """A list of lists of ... by aliases: a few hundred bytes, nine to the power of ``levels`` values."""
    lines = ["l0: &l0 [" + ", ".join("x" * 9) + "]"]
    lines += [f"l{index}: &l{index} [" + ", ".join([f"*l{index - 1}"] * 9) + "]" for index in range(1, levels)]
    return "\n".join(lines)


def test_aliases_that_expand_are_refused_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(RecipeError, match=r"its aliases .* stand for more than 1,000,000 values"):
        read_yaml(laughs(10))
    with pytest.raises(RecipeError, match="its aliases"):
        read_yaml("a: &a [*a]")
    assert time.monotonic() - started < 2


def test_aliases_of_usual_recipes_are_read() -> None:
    assert read_yaml("a: &a [1, 2]\nb: *a\nc: {d: *a}") == {"a": [1, 2], "b": [1, 2], "c": {"d": [1, 2]}}
    assert read_yaml("") is None and read_yaml('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize("text", ["a: " + "9" * 5000, '{"a": ' + "9" * 5000 + "}", "a: 2024-02-31"])
def test_numbers_of_thousands_of_digits_are_said(text: str) -> None:
    with pytest.raises(RecipeError, match="quote it"):
        read_yaml(text)


@pytest.mark.parametrize("text", ["[" * 5000, '{"a": ' * 5000])
def test_deep_brackets_are_said(text: str) -> None:
    with pytest.raises(RecipeError) as raised:
        read_yaml(text)
    assert len(str(raised.value)) < 500


def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/zero"):
        with pytest.raises(RecipeError, match="this is a pipe or a device"):
            read_text(path)
