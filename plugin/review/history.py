"""The decisions of one review, kept with a custom run: each can be taken back, also in a later session.

A decision is added to the run's record by itself, so that the thousandth costs no more than the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo

from diffucurate.plugin.fiftyone_private import run_facts, update_run
from diffucurate.plugin.store import runs

#: The verb of its runs.
VERB = "review"

#: Where the decisions stand in the run's record.
_FACT = "decisions"


@dataclass(frozen=True)
class Entry:
    """One decision: on which sample and labels, and their tags of earlier decisions (id of a label, or of the sample
    -> tags)."""

    sample_id: str
    a: str | None
    b: str | None
    decision: str
    before: Mapping[str, list[str]]


class History:
    """The decisions under one set of settings, the latest last. The run is begun with the first."""

    def __init__(self, dataset: fo.Dataset, settings: Mapping[str, Any]) -> None:
        self._dataset, self._settings = dataset, dict(settings)
        # Of a review that was done as well: what is new since is a part of it.
        keys = dataset.list_runs(method=runs.method(VERB), settings=self._settings)
        self.run_key: str | None = max(keys, default=None)
        facts = run_facts(dataset, self.run_key) if self.run_key else {}
        self.entries = [Entry(**runs.plain(each)) for each in facts.get(_FACT, ())]

    def append(self, entry: Entry) -> None:
        """Add a decision."""
        if self.run_key is None:
            self.run_key = runs.new_key(VERB)
            # Nothing runs between two decisions: it is a run that can be continued.
            runs.register(self._dataset, VERB, self._settings, self.run_key, runs.STOPPED)
            update_run(self._dataset, self.run_key, {"$set": {"config.facts": {_FACT: []}}})
        self.entries.append(entry)
        self._update({"$push": {f"config.facts.{_FACT}": asdict(entry)}})

    def pop(self) -> Entry:
        """Take the latest decision out."""
        entry = self.entries.pop()
        self._update({"$pop": {f"config.facts.{_FACT}": 1}})
        return entry

    def finish(self, done: bool) -> None:
        """Say whether all is decided; a review that was done and goes on is open again."""
        if self.run_key is not None:
            self._update({"$set": {"config.status": runs.DONE if done else runs.STOPPED}})

    def counts(self) -> dict[str, int]:
        """Decision -> how often it was taken."""
        return dict(Counter(entry.decision for entry in self.entries).most_common())

    def _update(self, change: Mapping[str, Any]) -> None:
        assert self.run_key is not None
        values = {"config.ended": runs.now(), "config.facts.counts": self.counts()}
        update_run(self._dataset, self.run_key, {**change, "$set": {**values, **change.get("$set", {})}})
