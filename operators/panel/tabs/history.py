"""The tab on what was done with the dataset: runs and curations with who, when and settings, and what can be undone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fiftyone.operators import types

from diffucurate.generator.text.counted import counted
from diffucurate.operators.panel import widgets
from diffucurate.operators.panel.actions import PanelActions
from diffucurate.operators.panel.widgets import OperatorButton
from diffucurate.plugin.review.history import VERB as REVIEW
from diffucurate.plugin.statistics.snapshot import Snapshot
from diffucurate.plugin.store.runs import Record

#: Runs that have a row, the latest first.
SHOWN = 100

#: Letters of the settings and of the facts of a run that are shown.
_LONGEST = 220


def draw(panel: types.Object, snapshot: Snapshot, sure: str | None, actions: PanelActions) -> None:
    """``sure`` is the key of the review whose undoing was asked for once."""
    records = snapshot.runs
    if not records:
        widgets.text(panel, "none", "Nothing was done with this dataset yet.")
        return
    columns = {"when": "When", "what": "What", "by": "By", "ended": "Ended", "settings": "Settings", "facts": "Outcome"}
    widgets.table(
        panel,
        "runs",
        columns,
        [_row(record) for record in records[:SHOWN]],
        label="Runs, the latest first",
        description="Click one that painted or curated to see its images",
        on_click=actions.pick_run,
    )
    widgets.text(panel, "undo_title", "### Undo")
    for index, curation in enumerate(snapshot.curations):
        kept = "" if curation.count is None else f", {curation.count.headline()}"
        button = OperatorButton(
            f"Undo curation '{curation.name}'{kept}", "undo_curation", "undo", {"curation": curation.name}
        )
        widgets.operator_button(panel, f"undo_{index}", button, actions.ask)
    for record in records:
        decisions = len(record.facts.get("decisions") or ()) if record.verb == REVIEW else 0
        if decisions:
            label = f"Take back {counted(decisions, 'decision')} on {_sources(record)}"
            label = f"Really? {label}" if sure == record.key else label
            widgets.button(panel, f"undo_{record.key}", label, actions.undo_review, icon="undo", key=record.key)
    if not snapshot.curations and not any(record.verb == REVIEW for record in records):
        widgets.text(panel, "nothing_to_undo", "Curations and reviews can be undone; there are none.")


def _sources(record: Record) -> str:
    return " and ".join(name for name in (record.settings.get("a"), record.settings.get("b")) if name)


def _row(record: Record) -> dict[str, str]:
    facts = {name: value for name, value in record.facts.items() if isinstance(value, str | int | float)}
    return {
        "when": _time(record.started),
        "what": record.verb.replace("_", " "),
        "by": record.by or "-",
        "ended": f"{record.status}, {_time(record.ended)}" if record.ended else record.status,
        "settings": _in_words(record.settings),
        "facts": _in_words(facts),
    }


def _time(stamp: str | None) -> str:
    """A stored time as the clock of the machine shows it."""
    try:
        return datetime.fromisoformat(stamp or "").astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return "-"


def _in_words(values: Mapping[str, Any]) -> str:
    """As in 'source: attention, iou: 0.5'; what was left out or empty is not shown."""
    parts = []
    for name, value in values.items():
        if value not in (None, [], {}, ""):
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            parts.append(f"{name}: {text}")
    words = ", ".join(parts)
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
