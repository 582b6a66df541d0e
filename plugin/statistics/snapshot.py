"""One look at a view: every number is asked from the database once, however often and from wherever it is wanted.

The App asks several times for the same at once (it tells of a new view, of its name and of its filters one by one),
so looks are kept for as long as nothing changes, and whoever asks for a number on its way waits for it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import fiftyone as fo
from bson import json_util

from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.curation.rules import Rules
from diffucurate.plugin.curation.selection import Count, count
from diffucurate.plugin.fiftyone_private import dataset_behind, dataset_state, stages_of
from diffucurate.plugin.statistics.agreement import Agreement, Disagreement, Scatter, agreement, disagreements, scatter
from diffucurate.plugin.statistics.counts import Found, Matches, found, matches
from diffucurate.plugin.statistics.coverage import (
    CrossTable,
    attributes_in,
    cross_table,
    images_per_value,
    recipes_in,
)
from diffucurate.plugin.store.label_sources import comparable, compared

#: Looks kept: one App shows one view at a time, and people go back and forth.
KEPT = 8

T = TypeVar("T")
Pair = tuple[str, str]


class Snapshot:
    """The numbers of one view at one time."""

    def __init__(self, view: fo.DatasetView, key: str) -> None:
        self.view, self.key = view, key
        self.dataset: fo.Dataset = dataset_behind(view)
        self._known: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def _once(self, name: Any, work: Callable[[], T]) -> T:
        with self._lock:
            if name not in self._known:
                self._known[name] = work()
            known: T = self._known[name]
            return known

    @property
    def images(self) -> int:
        """How many samples the view has."""
        return self._once("images", lambda: len(self.view))

    @property
    def sources(self) -> list[str]:
        """Everything that can be counted and compared: label sources, then other fields of detections."""
        return self._once("sources", lambda: comparable(self.dataset))

    @property
    def pairs(self) -> list[Pair]:
        """The pairs that were compared, the latest first."""
        return self._once("pairs", lambda: compared(self.dataset))

    @property
    def attributes(self) -> list[str]:
        """The attributes that images have."""
        return self._once("attributes", lambda: attributes_in(self.dataset))

    @property
    def recipes(self) -> list[Recipe]:
        """What the images were made from, the latest first."""
        return self._once("recipes", lambda: recipes_in(self.dataset))

    @property
    def found(self) -> list[Found]:
        """What each source found, in the order of ``sources``."""
        return self._once("found", lambda: [found(self.view, source) for source in self.sources])

    def matches(self, pair: Pair) -> Matches:
        """What the sources of ``pair`` found together and alone."""
        return self._once(("matches", pair), lambda: matches(self.view, *pair))

    def agreement(self, pair: Pair) -> Agreement:
        """The agreement of ``pair`` on the images."""
        return self._once(("agreement", pair), lambda: agreement(self.view, *pair))

    def scatter(self, pair: Pair, source: str) -> Scatter:
        """The confidence of ``source`` against the agreement of ``pair``."""
        return self._once(("scatter", pair, source), lambda: scatter(self.view, *pair, source))

    def disagreements(self, pair: Pair, skip: int, limit: int) -> list[Disagreement]:
        """The images that ``pair`` agrees on least."""
        return self._once(
            ("disagreements", pair, skip, limit), lambda: disagreements(self.view, *pair, skip=skip, limit=limit)
        )

    def images_per_value(self) -> dict[str, dict[str, int]]:
        """Images per value of every attribute."""
        return self._once("values", lambda: images_per_value(self.view, self.attributes))

    def cross_table(self, x: str, y: str, *, whole: bool = False) -> CrossTable:
        """Images per combination of two attributes, of the view or of the ``whole`` dataset."""
        samples = self.dataset if whole else self.view
        return self._once(("cross", x, y, whole), lambda: cross_table(samples, x, y, self.recipes))

    def kept(self, rules: Rules) -> Count:
        """How many images a curation by ``rules`` would keep."""
        return self._once(("kept", repr(rules)), lambda: count(self.view, rules))


_looks: OrderedDict[str, Snapshot] = OrderedDict()
_lock = threading.Lock()


def take_snapshot(view: fo.DatasetView) -> Snapshot:
    """The look at a view: the one from before as long as neither the view nor the dataset has changed."""
    key = _key(view)
    with _lock:
        snapshot = _looks.setdefault(key, Snapshot(view, key))
        _looks.move_to_end(key)
        while len(_looks) > KEPT:
            _looks.popitem(last=False)
        return snapshot


def _key(view: fo.DatasetView) -> str:
    """Differs when the view's stages do, when a sample or the dataset was written to, and when samples are gone."""
    facts = [*dataset_state(dataset_behind(view)), stages_of(view)]
    return hashlib.sha256(json.dumps(facts, default=json_util.default, sort_keys=True).encode()).hexdigest()
