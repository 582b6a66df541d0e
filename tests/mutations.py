"""Hostile variations of good content: the same ones for the same seed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

#: Values that somebody may put anywhere, by a slip or on purpose.
VALUES: list[Any] = [
    None, True, False, 0, -1, 3.5, 1e308, float("nan"), float("inf"), 10**400, -(2**63), "", " ", "\x00", "\n", "a\nb",
    "\ud800", "\u202e", "🚗" * 40, "x" * 100_000, "../../etc/passwd", "/etc/passwd", "~", "C:\\nul", "con", "-rf",
    "$(id)", "`id`", "%s%n", "{0}", "{x.__class__}", "{a[0]}", "{", "}", "{}", "{{}}", "{!r}", "{a:>9999999}", "{a=}",
    "!!python/name:os.system", "*alias", "&anchor", "1e3", "yes", "null", "2020-01-01", "0x10",
    b"bytes", {1, 2}, [], {}, [[]], [{}], {"": ""},
    {None: None}, {1: 2}, {"a": {"b": {"c": []}}}, ["a", ["b", ["c"]]], ["same", "same"], list(range(2_000)), (1, 2),
    {"count": -1}, {"count": 10**12}, {"path": "/dev/zero"}, {"path": "."}, {"__class__": "x"},
    {"dataset": "x", "folder": "y"},
]  # fmt: skip


def deep(levels: int) -> list[Any]:
    """Lists within lists."""
    whole: list[Any] = []
    for _ in range(levels):
        whole = [whole]
    return whole


def variations(
    content: dict[str, Any], count: int, seed: int, others: tuple[str, ...] = ()
) -> Iterator[dict[str, Any]]:
    """``count`` copies of good content, in which one to three places hold something else; ``others`` are keys that it
    could have too."""
    rng = Random(seed)
    for _ in range(count):
        changed = copy.deepcopy(content)
        for _ in range(rng.randint(1, 3)):
            _change(changed, rng, others)
        yield changed


def _change(content: dict[str, Any], rng: Random, others: tuple[str, ...]) -> None:
    places = list(_places(content))
    holder, key = rng.choice(places)
    value = deep(rng.choice((10, 500))) if rng.random() < 0.03 else copy.deepcopy(rng.choice(VALUES))
    match rng.randint(0, 5):
        case 0 if isinstance(holder, dict):
            holder.pop(key)
        case 1 if isinstance(holder, dict):
            holder[rng.choice((*others, str(value)[:200], f"{key} "))] = value
        case 2 if isinstance(holder, list):
            holder.append(value)
        case 3 if isinstance(holder[key], str):
            text = str(value)
            at = rng.randint(0, len(holder[key]))
            holder[key] = holder[key][:at] + text + holder[key][at:]
        case _:
            holder[key] = value


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items):
        yield content, key
        yield from _places(value)
