"""Stores the labels that a source made, one whole sample after the other.

New labels go to new files. The old ones are removed after their samples were saved, so neither a stop nor an open
browser ever meets a sample whose files are missing or were changed under it; those that another sample names stay.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo

from diffucurate.generator.labels.drawn import with_drawn
from diffucurate.generator.sources import LabelResult
from diffucurate.generator.sources.registry import keeps_maps
from diffucurate.plugin.appearance.scheme import apply_default_appearance
from diffucurate.plugin.labelling.images import SampleImage
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import Phrases, extend_classes
from diffucurate.plugin.store.instances import read_drawn
from diffucurate.plugin.store.label_files import media_of, store_heatmaps, store_labels
from diffucurate.plugin.store.label_sources import compared
from diffucurate.plugin.store.label_values import with_classes
from diffucurate.plugin.store.media_folder import media_folder, remove_unnamed
from diffucurate.plugin.store.run_files import note_replaced
from diffucurate.plugin.store.samples import all_images
from diffucurate.plugin.store.schema import declare_heatmaps, declare_label_fields, measures_in

#: Samples that are saved before their old files go: whether another sample names one is asked of the whole database.
_REMOVED_AT_ONCE = 2048


class LabelWriter:
    """Writes labels a sample at a time: first the files, then the sample. ``remove_old`` then removes the old files."""

    def __init__(self, dataset: fo.Dataset, source: str, wanted: Phrases, run_key: str) -> None:
        self._dataset, self._source, self._run_key = dataset, source, run_key
        self._folder: Path = media_folder(dataset)
        self._stale = [*_agreements_with(dataset, source), *measures_in(dataset, source)]
        self._own = [field_names.mask(source)]
        self._maps: list[str] = []
        self._classes: list[str] = []
        self._old: list[list[str]] = []
        self._admit(wanted)
        #: Samples that were saved; those of them whose class maps are new; instances that a second model redrew.
        self.saved = self.looked_at = self.refined = 0

    def _admit(self, classes: Phrases) -> None:
        """Give the dataset classes, and the fields and colours that go with them."""
        before = set(self._dataset.get_field_schema())
        self._classes = list(extend_classes(self._dataset, classes))
        declare_label_fields(self._dataset, self._source, self._classes)
        if keeps_maps(self._source):
            declare_heatmaps(self._dataset, classes)
            heatmaps = [name for name in map(field_names.heatmap, self._classes) if self._has(name)]
            self._maps = [field_names.ATTENTION_MAPS, *heatmaps]
        apply_default_appearance(self._dataset, self._source, before)

    def _has(self, name: str) -> bool:
        return bool(self._dataset.has_sample_field(name))

    def save(self, image: SampleImage, result: LabelResult) -> None:
        """Write the files of a sample's new labels, then the sample; what a person drew stays (label tag ``human``)."""
        sample = image.sample
        field = field_names.instances(self._source)
        drawn = read_drawn(sample[field], image.shape) if sample.has_field(field) else []
        result = result._replace(labels=with_drawn(result.labels, drawn))
        if new := [name for name in result.labels.classes if name not in self._classes]:
            self._admit({name: [name] for name in new})
        stem = f"{sample.id}-{self._run_key}"
        labels = with_classes(result.labels, self._classes)
        values: dict[str, Any] = dict.fromkeys(self._stale)
        replaced = list(self._own)
        if result.heatmaps is not None and keeps_maps(self._source):  # under another name the maps stay as they are
            replaced += self._maps
            values |= dict.fromkeys(self._maps)
            values |= store_heatmaps(result.heatmaps, image.shape, self._folder, stem, result.model)
        values |= store_labels(self._source, labels, self._folder, stem)
        old = media_of(sample, replaced)
        note_replaced(self._folder, self._run_key, old)
        for name, value in values.items():
            sample[name] = value
        try:
            sample.save()
        except ValueError:
            remove_unnamed(media_of(sample, replaced), self._folder)
            if len(all_images(self._dataset).select(sample.id)):
                raise
            return  # somebody has deleted the sample meanwhile
        self.saved += 1
        self.looked_at += result.heatmaps is not None
        self.refined += sum(instance.refined for instance in labels.instances)
        self._old.append(old)
        if len(self._old) >= _REMOVED_AT_ONCE:
            self.remove_old()

    def remove_old(self) -> None:
        """Remove the files of labels that were replaced, unless another sample names them."""
        old, self._old = self._old, []
        remove_unnamed([path for paths in old for path in paths], self._folder)


def _agreements_with(dataset: fo.Dataset, source: str) -> list[str]:
    """The fields of agreements that new labels of ``source`` make void."""
    return [field_names.agreement(*pair) for pair in compared(dataset) if source in pair]
