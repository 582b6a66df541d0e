"""What is chosen in each open panel, kept in this process by the panel's id.

Not in the panel's state: the App keeps that with the layout of the page, and every write to it fetches the page anew,
without the sidebar's filters. FiftyOne's inputs write there too, so all that can be chosen in the panel is a button.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from fiftyone.operators.executor import ExecutionContext

#: Panels whose choices are kept; those beyond are forgotten, the longest unused first.
KEPT = 256

_panels: OrderedDict[str, dict[str, Any]] = OrderedDict()
_lock = threading.Lock()


class Choices:
    """The choices of one panel by name; a name without a value is None."""

    def __init__(self, panel: str, first: Mapping[str, Any]) -> None:
        """``first`` are the choices that the panel was opened with, for one that is not known yet."""
        with _lock:
            self._values = _panels.setdefault(panel, dict(first))
            _panels.move_to_end(panel)
            while len(_panels) > KEPT:
                _panels.popitem(last=False)

    def get(self, name: str) -> Any:
        return self._values.get(name)

    def set(self, **values: Any) -> None:
        self._values.update(values)


def choices_of(ctx: ExecutionContext) -> Choices:
    """The choices of the panel that an event is for."""
    return Choices(str(ctx.panel_id), ctx.panel_state or {})


def opened(ctx: ExecutionContext) -> None:
    """Forget an earlier panel of that id: this one was opened, or its page loaded, with the state in ``ctx``."""
    with _lock:
        earlier = _panels.pop(str(ctx.panel_id), {})
        _panels[str(ctx.panel_id)] = {**earlier, **(ctx.panel_state or {}), "stamp": None}


def choose_in_open_panels(ctx: ExecutionContext, panel: str, **values: Any) -> None:
    """Make a choice in the panels of that name which the App has open; they show it when they are drawn anew."""
    for key in _panel_ids(_tree(ctx), panel):
        Choices(key, {}).set(**values)


def _tree(ctx: ExecutionContext) -> Mapping[str, Any]:
    """The layout of the App's page, as the App sends it."""
    layout = ctx.request_params.get("spaces")
    return layout if isinstance(layout, Mapping) else {}


def _panel_ids(node: Mapping[str, Any], panel: str) -> list[str]:
    own = [str(node["component_id"])] if node.get("type") == panel and node.get("component_id") else []
    return own + [key for child in node.get("children") or [] for key in _panel_ids(child, panel)]
