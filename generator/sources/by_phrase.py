"""How a model that has class names of its own labels the classes that were asked for: its names count as phrases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.model import Labels
from diffucurate.generator.sources.protocol import LabelSource
from diffucurate.generator.text.class_names import phrases_of


def classes_by_phrase(classes: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Each phrase, and each class's own name -> the class: what a model calls a sedan is a car if that is a phrase."""
    return {phrase: label for label, phrases in phrases_of(classes).items() for phrase in (*phrases, label)}


class ByPhrase:
    """A ``LabelSource`` whose labels are classes, made of one whose labels are phrases."""

    def __init__(self, source: LabelSource, classes: Mapping[str, Sequence[str]]) -> None:
        self.name = source.name
        self._source, self._classes = source, tuple(classes)
        self._meanings = classes_by_phrase(classes)

    @property
    def unseen(self) -> tuple[str, ...]:
        """The classes that the source has no name for, by none of their phrases."""
        nameless = set(getattr(self._source, "unseen", ()))
        seen = {self._meanings[phrase] for phrase in self._meanings if phrase not in nameless}
        return tuple(name for name in self._classes if nameless and name not in seen)

    @property
    def unmapped(self) -> tuple[str, ...]:
        """The source's own classes that are none of those asked for."""
        return tuple(getattr(self._source, "unmapped", ()))

    def label(self, images: Sequence[NDArray[np.uint8]], /) -> list[Labels]:
        return [self._renamed(labels) for labels in self._source.label(images)]

    def _renamed(self, labels: Labels) -> Labels:
        instances = [replace(instance, label=self._meanings[instance.label]) for instance in labels.instances]
        return Labels.from_instances(instances, self._classes, labels.semantic.shape)
