"""The dialog that ends a run in the App: a headline, and below it the result."""

from __future__ import annotations

from typing import Any

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext
from fiftyone.operators.message import GeneratedMessage


def dialog(
    ctx: ExecutionContext,
    headline: types.View,
    outputs: types.Object | None = None,
    result: dict[str, Any] | None = None,
) -> GeneratedMessage:
    """Takes the place of the progress bar, which would stay open; ``outputs`` show the values of ``result``."""
    form = types.Object()
    form.view("headline", headline)
    form.properties |= outputs.properties if outputs is not None else {}
    return ctx.ops.show_output(types.Property(form).to_json(), result or {})
