"""What a report is about: a view, the labels of one source in it, and the source that these are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.label_sources import comparable, compared
from diffucurate.plugin.store.samples import dataset_of


@dataclass(frozen=True)
class Scope:
    """The samples of a report; ``source`` and ``field`` of their labels, None where there are none.

    ``pair`` are the two sources as they were compared, the source and ``against`` in that order or the other; None
    where they were not.
    """

    samples: fo.Dataset | fo.DatasetView
    dataset: fo.Dataset
    source: str | None
    field: str | None
    pair: tuple[str, str] | None

    @property
    def against(self) -> str | None:
        """The other source of the pair."""
        if self.pair is None:
            return None
        return self.pair[1] if self.pair[0] == self.source else self.pair[0]


def scope_of(samples: fo.Dataset | fo.DatasetView, source: str | None, against: str | None) -> Scope:
    """The scope of a report. Without ``source`` it is one that was compared, else the first that the dataset holds.

    Raises:
        InvalidSetting: ``against`` was not compared with the source.
        DatasetError: no such source, or no samples.
    """
    dataset = dataset_of(samples)
    pairs = compared(dataset)
    present = comparable(dataset)
    if source is None:
        source = next((a for a, b in pairs if against in (None, b) and a in present), next(iter(present), None))
    if source is None:
        return Scope(samples, dataset, None, None, None)
    field = detections_field(samples, dataset, source)
    own = [pair for pair in pairs if source in pair]
    others = [b if a == source else a for a, b in own]
    if against is not None and against not in others:
        there = f"it was compared with {', '.join(others)}" if others else "it was compared with none"
        raise InvalidSetting("against", against, f"compare '{source}' with it first; {there}")
    pair = own[others.index(against)] if against is not None else next(iter(own), None)
    return Scope(samples, dataset, source, field, pair)
