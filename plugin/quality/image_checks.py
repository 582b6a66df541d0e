"""The checks that look at one image after the other: what each is given, and what it finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.model import Instance
from diffucurate.generator.quality.images import measure_image
from diffucurate.generator.quality.masks import measure_masks, measure_shape
from diffucurate.generator.quality.obedience import obedience
from diffucurate.generator.text.class_names import folded
from diffucurate.generator.text.object_counts import stated_counts
from diffucurate.plugin.store import field_names

if TYPE_CHECKING:
    from diffucurate.generator.quality.clip_score import ClipScorer
    from diffucurate.plugin.quality.label_runs import LabelRun
    from diffucurate.plugin.store.classes import Phrases


@dataclass(frozen=True, eq=False)
class CheckedImage:
    """An image and what is known of it.

    ``pixels`` are (H, W, 3) uint8 RGB, ``shape`` is (height, width); ``instances`` are those of the source, with the
    ids of their labels, empty where there is no source.
    """

    sample: fo.Sample
    pixels: NDArray[np.uint8]
    prompt: str | None
    instances: Sequence[Instance] = ()
    label_ids: Sequence[str] = ()
    labelled: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass
class Found:
    """The values of one image: of its fields, and of attributes of its labels, attribute -> label id -> value."""

    values: dict[str, float | int | None] = field(default_factory=dict)
    of_labels: dict[str, dict[str, float | int]] = field(default_factory=dict)


class ImageCheck(Protocol):
    """Measures images; ``of_labels`` says that it needs the source's labels, so that images without have no value."""

    of_labels: ClassVar[bool]

    def measure(self, images: Sequence[CheckedImage]) -> list[Found]:
        """What it finds of each image, in their order."""
        ...


class PixelCheck:
    """Brightness, contrast and sharpness."""

    of_labels: ClassVar[bool] = False

    def measure(self, images: Sequence[CheckedImage]) -> list[Found]:
        return [Found(dict(measure_image(image.pixels)._asdict())) for image in images]


@dataclass(frozen=True)
class MaskCheck:
    """Area and fragmentation of the labels, and of each."""

    source: str
    of_labels: ClassVar[bool] = True

    def measure(self, images: Sequence[CheckedImage]) -> list[Found]:
        return [self._measured(image) for image in images]

    def _measured(self, image: CheckedImage) -> Found:
        masks = [instance.mask for instance in image.instances]
        shapes = [measure_shape(mask) for mask in masks]
        measured = measure_masks(masks, shapes, image.shape)
        values = {field_names.measure(self.source, name): value for name, value in measured._asdict().items()}
        each = dict(zip(image.label_ids, shapes, strict=True))
        return Found(
            values,
            {
                field_names.PARTS: {label: shape.parts for label, shape in each.items()},
                field_names.COMPACTNESS: {label: shape.compactness for label, shape in each.items()},
            },
        )


class PromptCheck:
    """Whether the source finds what the prompt asked for; classes that it cannot find do not count.

    Args:
        source: whose instances are counted.
        classes: the dataset's, with the phrases that mean them.
        run: with what the labels were made, None where nobody knows: then it could find all of them.
    """

    of_labels: ClassVar[bool] = True

    def __init__(self, source: str, classes: Phrases, run: LabelRun | None) -> None:
        able = {folded(name) for name in (classes if run is None else run.classes)}
        able -= {folded(name) for name in (() if run is None else run.unseen)}
        self._field = field_names.measure(source, "obedience")
        self._classes, self._able = classes, able

    def measure(self, images: Sequence[CheckedImage]) -> list[Found]:
        return [Found({self._field: self._obedience(image)}) for image in images]

    def _obedience(self, image: CheckedImage) -> float | None:
        asked = stated_counts(image.prompt, self._classes) if image.prompt else {}
        found = Counter(folded(instance.label) for instance in image.instances)
        return obedience({folded(name): count for name, count in asked.items() if folded(name) in self._able}, found)


class ClipCheck:
    """Whether a CLIP model sees the first phrase of each class that the prompt mentions."""

    of_labels: ClassVar[bool] = False

    def __init__(self, scorer: ClipScorer, classes: Phrases) -> None:
        self._scorer, self._classes = scorer, classes

    def measure(self, images: Sequence[CheckedImage]) -> list[Found]:
        asked = [list(stated_counts(image.prompt, self._classes)) if image.prompt else [] for image in images]
        phrases = [[self._classes[name][0] for name in names] for names in asked]
        scores = self._scorer.scores([image.pixels for image in images], phrases)
        return [Found({"clip_score": score}) for score in scores]
