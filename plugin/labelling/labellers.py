"""How each label source labels samples: from their pixels, and attention from the maps that were kept with them too.

A worker turns samples with their pixels into labels; where these go is ``writer``'s matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.settings import LabelSettings, YoloSettings
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import Phrases
from diffucurate.plugin.store.label_files import Heatmaps, as_stored
from diffucurate.plugin.store.media_files import read_maps
from diffucurate.plugin.store.samples import prompt_of

if TYPE_CHECKING:
    from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken
    from diffucurate.generator.labels.segment_anything import SamRefiner
    from diffucurate.generator.sources import LabelSource
    from diffucurate.generator.sources.attention_source import AttentionSource


class Image(NamedTuple):
    """A sample and its image, (H, W, 3) uint8 RGB."""

    sample: fo.Sample
    pixels: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]


class Result(NamedTuple):
    """``heatmaps`` are raw maps to be stored with the labels, None where the sample keeps those it has."""

    labels: Labels
    heatmaps: Heatmaps | None = None


class Worker(Protocol):
    """What labels samples for one source."""

    def results(self, images: Sequence[Image]) -> Iterator[tuple[Image, Result]]:
        """Each image's labels as soon as they are made, in any order."""


class FromImages:
    """Any label source that looks at the pixels alone."""

    def __init__(self, source: LabelSource) -> None:
        self._source = source

    def results(self, images: Sequence[Image]) -> Iterator[tuple[Image, Result]]:
        labels = self._source.label([image.pixels for image in images]) if images else []
        for image, made in zip(images, labels, strict=True):
            yield image, Result(made)


class FromYolo:
    """YOLOv8, whose own class names count as phrases: what it calls a sedan is a car if the dataset says so."""

    def __init__(
        self, wanted: Phrases, weights: str | os.PathLike[str] | None, device: str | None, settings: YoloSettings
    ) -> None:
        from diffucurate.generator.sources.yolov8_source import YoloSource

        self._classes = tuple(wanted)
        self._meanings = {phrase: name for name, phrases in wanted.items() for phrase in (*phrases, name)}
        path = None if weights is None else os.fspath(weights)
        self._source = YoloSource(self._meanings, path, device=device, **settings.model_dump())

    def results(self, images: Sequence[Image]) -> Iterator[tuple[Image, Result]]:
        labels = self._source.label([image.pixels for image in images]) if images else []
        for image, made in zip(images, labels, strict=True):
            things = [Instance(self._meanings[thing.label], thing.mask, thing.confidence) for thing in made.instances]
            yield image, Result(Labels.from_instances(things, self._classes, image.shape))


class FromAttention:
    """Labels from kept maps where there are any, else from a model that looks at the image."""

    def __init__(
        self,
        wanted: Phrases,
        model: str | None,
        device: str | None,
        settings: LabelSettings,
        refiner: str | os.PathLike[str] | None,
        tokens: Sequence[str],
        contrast: bool | None,
    ) -> None:
        #: With the threshold that tokens carry, where the person named none.
        self.settings = settings
        self._wanted, self._model, self._device, self._contrast = wanted, model, device, contrast
        self._by_tokens: AttentionSource | None = None
        if tokens:
            from diffucurate.generator.sources.attention_source import AttentionSource

            found = _found_tokens(tokens, wanted)
            self._model = model or next(iter(found.values())).provenance.model
            self._by_tokens = AttentionSource(wanted, self._model, device, settings, tokens=found, contrast=contrast)
            self.settings = self._by_tokens.settings
        self._refiner: SamRefiner | None = None
        if refiner is not None:
            from diffucurate.generator.labels.segment_anything import SamRefiner

            self._refiner = SamRefiner(os.fspath(refiner), device, settings.min_agreement)

    def results(self, images: Sequence[Image]) -> Iterator[tuple[Image, Result]]:
        strangers = []
        for image in images:
            maps = self._kept(image.sample)
            if maps is None:
                strangers.append(image)
            else:
                yield image, Result(self._labels(maps, image))
        if strangers:
            yield from self._look(strangers)

    def _kept(self, sample: fo.Sample) -> Heatmaps | None:
        """The sample's maps; None where it has none, where tokens or contrast are to look, or where ``model`` was named
        and they lack a class it could find."""
        path = sample[field_names.ATTENTION_MAPS]
        if self._by_tokens is not None or self._contrast or path is None or not os.path.isfile(path):
            return None
        maps = read_maps(path)
        if self._model is not None:
            prompt = prompt_of(sample)
            mentioned = self._wanted if prompt is None else find_phrases(prompt, self._wanted)
            if any(name not in maps for name in mentioned):
                return None
        return maps

    def _look(self, images: Sequence[Image]) -> Iterator[tuple[Image, Result]]:
        from diffucurate.generator.sources.attention_source import AttentionSource

        source = self._by_tokens or AttentionSource(
            self._wanted, self._model or "tiny", self._device, self.settings, contrast=self._contrast
        )
        found = source.heatmaps([image.pixels for image in images], [prompt_of(image.sample) for image in images])
        for image, raw in zip(images, found, strict=True):
            maps = as_stored(raw)
            yield image, Result(self._labels(maps, image, source.calibrated), maps)

    def _labels(self, maps: Heatmaps, image: Image, calibrated: Sequence[str] = ()) -> Labels:
        chosen = {name: heat for name, heat in maps.items() if name in self._wanted}
        prompt = prompt_of(image.sample)
        labels = labels_from_maps(chosen, image.pixels, self._wanted, prompt, self.settings, calibrated)
        return labels if self._refiner is None else self._refiner.refine(image.pixels, labels, chosen)


def _found_tokens(names: Sequence[str], wanted: Phrases) -> dict[str, ClassToken]:
    """Class -> the learned token that finds it."""
    from diffucurate.generator.attention.class_tokens.class_tokens import find_token

    tokens: dict[str, ClassToken] = {}
    for name in names:
        token = find_token(name)
        if token.label not in wanted:
            remedy = f"it finds '{token.label}', which is none of the classes ({', '.join(wanted)}); add it to them"
            raise InvalidSetting("tokens", name, remedy)
        if token.label in tokens:
            raise InvalidSetting(
                "tokens", name, f"another one finds '{token.label}' too; name one token for each class"
            )
        tokens[token.label] = token
    return tokens
