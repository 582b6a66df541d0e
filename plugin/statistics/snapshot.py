"""The numbers of a view at one time: each is computed by the database once, then kept.

The App sends several events for one change (a new view, its name and its filters), and each event asks for the same
numbers. So a snapshot is kept until the view or the dataset changes. A number that one thread is computing is waited
for by the others, not computed again.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import fiftyone as fo
from bson import json_util

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.curation.curate import Curation, curations
from diffucurate.plugin.curation.rules import Rules
from diffucurate.plugin.curation.selection import Count, count
from diffucurate.plugin.fiftyone_private import dataset_behind, dataset_state, stages_of
from diffucurate.plugin.statistics.agreement import (
    AgreementScores,
    Disagreement,
    MeanAgreement,
    Scatter,
    agreement_by_value,
    agreement_scores,
    disagreements,
    scatter,
)
from diffucurate.plugin.statistics.confusion import confusion_matrix
from diffucurate.plugin.statistics.counts import (
    InstanceCounts,
    MatchCounts,
    count_instances,
    count_matches,
    sources_with_confidence,
)
from diffucurate.plugin.statistics.coverage import (
    CrossTable,
    attributes_in,
    cross_table,
    images_per_value,
    recipes_in,
)
from diffucurate.plugin.statistics.histogram import Histogram
from diffucurate.plugin.statistics.thresholds import ThresholdCounts, between, confidences_by_class, count_kept
from diffucurate.plugin.store.label_sources import comparable, compared, instances_field
from diffucurate.plugin.store.matches import ConfusionMatrix
from diffucurate.plugin.store.runs import Record, read_all

#: Snapshots kept: an App shows one view at a time, and people go back to earlier ones.
KEPT = 8

T = TypeVar("T")
Pair = tuple[str, str]


class Snapshot:
    """The numbers of one view at one time. ``key`` identifies the view and the state of its dataset."""

    def __init__(self, view: fo.DatasetView, key: str) -> None:
        self.view, self.key = view, key
        self.dataset: fo.Dataset = dataset_behind(view)
        self._numbers: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def _once(self, name: Any, compute: Callable[[], T]) -> T:
        with self._lock:
            if name not in self._numbers:
                self._numbers[name] = compute()
            number: T = self._numbers[name]
            return number

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
        """The attributes that images of the dataset have."""
        return self._once("attributes", lambda: attributes_in(self.dataset))

    @property
    def recipes(self) -> list[Recipe]:
        """The recipes of the dataset's images, the latest first."""
        return self._once("recipes", lambda: recipes_in(self.dataset))

    @property
    def counts(self) -> list[InstanceCounts]:
        """The instances of each source, in the order of ``sources``."""
        return self._once("counts", lambda: [count_instances(self.view, source) for source in self.sources])

    @property
    def with_confidence(self) -> list[str]:
        """The sources that give confidences."""
        return [counts.source for counts in sources_with_confidence(self.counts)]

    def confidences_by_class(self, source: str) -> dict[str, Histogram]:
        """Class -> the confidences of the instances that ``source`` has of it."""
        return self._once(("confidences", source), lambda: confidences_by_class(self.view, source))

    def kept_by_thresholds(self, source: str, thresholds: Mapping[str, float]) -> ThresholdCounts:
        """What thresholds, one per class, keep of ``source``."""
        name = ("thresholds", source, tuple(sorted(thresholds.items())))
        return self._once(name, lambda: count_kept(self.view, source, thresholds))

    def between(self, source: str, label: str, low: float, high: float) -> tuple[list[str], int]:
        """The ids of images with instances of a class between two confidences, and the number of these instances."""

        def compute() -> tuple[list[str], int]:
            view = between(self.view, source, label, low, high)
            field = f"{instances_field(self.dataset, source)}.detections"
            return view.values("id"), view.count(field)

        return self._once(("between", source, label, low, high), compute)

    def matches(self, pair: Pair) -> MatchCounts:
        """The matched and unmatched instances of the sources of ``pair``."""
        return self._once(("matches", pair), lambda: count_matches(self.view, *pair))

    def agreement_scores(self, pair: Pair) -> AgreementScores:
        """The scores of ``pair`` on the images."""
        return self._once(("agreement", pair), lambda: agreement_scores(self.view, *pair))

    def agreement_by_value(self, pair: Pair) -> dict[str, dict[str, MeanAgreement]]:
        """The agreement of ``pair`` on the images of each value of every attribute."""
        return self._once(("agreement by value", pair), lambda: agreement_by_value(self.view, *pair, self.attributes))

    def confusion(self, pair: Pair) -> ConfusionMatrix | None:
        """Which class of one source of ``pair`` stands where the other has which; None where that was not marked."""

        def compute() -> ConfusionMatrix | None:
            with suppress(DatasetError):  # compared without marks
                return confusion_matrix(self.view, *pair)
            return None

        return self._once(("confusion", pair), compute)

    @property
    def runs(self) -> list[Record]:
        """The runs of the dataset, the latest first."""
        return self._once("runs", lambda: read_all(self.dataset))

    @property
    def curations(self) -> list[Curation]:
        """The curations that can be undone, the latest first."""
        return self._once("curations", lambda: curations(self.dataset))

    def scatter(self, pair: Pair, source: str) -> Scatter:
        """The confidence of ``source`` against the agreement of ``pair``."""
        return self._once(("scatter", pair, source), lambda: scatter(self.view, *pair, source))

    def disagreements(self, pair: Pair, skip: int, limit: int) -> list[Disagreement]:
        """The images on which the sources of ``pair`` agree least, from the ``skip``-th on."""
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


_snapshots: OrderedDict[str, Snapshot] = OrderedDict()
_lock = threading.Lock()


def take_snapshot(view: fo.DatasetView) -> Snapshot:
    """The snapshot of a view: the same one as long as neither the view nor the dataset has changed."""
    key = _key(view)
    with _lock:
        snapshot = _snapshots.setdefault(key, Snapshot(view, key))
        _snapshots.move_to_end(key)
        while len(_snapshots) > KEPT:
            _snapshots.popitem(last=False)
        return snapshot


def _key(view: fo.DatasetView) -> str:
    """Changes with the view's stages, and whenever a sample or the dataset is written to or a sample is deleted."""
    parts = [*dataset_state(dataset_behind(view)), stages_of(view)]
    return hashlib.sha256(json.dumps(parts, default=json_util.default, sort_keys=True).encode()).hexdigest()
