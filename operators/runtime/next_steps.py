"""What can be done after a run: buttons below its result, each of which opens another operator's form, filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fiftyone.operators import types

from diffucurate.generator.sources.registry import all_sources
from diffucurate.operators.runtime.uris import uri_of


class Step(NamedTuple):
    """A button: its label, the operator whose form it opens, and what that form is filled in with."""

    label: str
    operator: str
    params: dict[str, Any]


def step(label: str, operator: str, /, **params: Any) -> Step:
    """A step to another operator; values that are None are left to its form."""
    return Step(label, operator, {name: value for name, value in params.items() if value is not None})


def another_source(*but: str) -> str:
    """A label source besides those, one that looks at the image alone where there is one."""
    there = [spec for spec in all_sources() if spec.name not in but and spec.missing is None]
    return min(there, key=lambda spec: spec.keeps_maps).name


def offer(outputs: types.Object, steps: Sequence[Step]) -> None:
    """Draw the buttons in one row, that of the likeliest step filled."""
    if not steps:
        return
    row = outputs.h_stack("next", gap=1, wrap=True)
    for number, (label, operator, params) in enumerate(steps):
        variant = "outlined" if number else "contained"
        uri = uri_of(operator)
        row.btn(f"next_{number}", label, on_click=uri, prompt=True, params=params, variant=variant)
