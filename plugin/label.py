"""Labels the samples of a dataset or view with a label source, one whole sample after the other.

New labels go to new files; a sample's old ones are removed when it is saved, so neither a stop nor an open
browser ever meets a sample whose files are missing or were changed under it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import DatasetError, RecipeError
from diffucurate.generator.labels.make import labels_from_heatmaps
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.settings import (
    SETTINGS,
    LabelSettings,
    Settings,
    YoloSettings,
    check_settings,
)
from diffucurate.generator.phrases import find_phrases
from diffucurate.plugin import fields, runs
from diffucurate.plugin.classes import extend_classes, read_classes
from diffucurate.plugin.looks import dress
from diffucurate.plugin.media import media_folder, read_image, read_maps, remove_files
from diffucurate.plugin.progress import Listener, Meter
from diffucurate.plugin.samples import dataset_of, declare_heatmaps, declare_label_fields, declare_refined, with_classes
from diffucurate.plugin.sources import compared
from diffucurate.plugin.store import Heatmaps, as_stored, media_of, store_heatmaps, store_labels

if TYPE_CHECKING:
    from diffucurate.generator.attention.class_tokens import ClassToken
    from diffucurate.generator.labels.segment_anything import SamRefiner
    from diffucurate.generator.sources import LabelSource
    from diffucurate.generator.sources.attention import AttentionSource

logger = logging.getLogger(__name__)

#: The label sources that can be named; any object with a name and a ``label`` method can be passed instead.
SOURCES = ("attention", "yolov8")

#: Images read and labelled together; the sources themselves batch by what fits the device.
_AT_ONCE = 16

#: Which of ``label``'s settings a source takes, besides classes and device.
_TAKES: dict[str, tuple[str, ...]] = {
    "attention": ("model", "settings", "refiner", "tokens"),
    "yolov8": ("weights", "settings"),
}

Phrases = Mapping[str, Sequence[str]]


def label(
    samples: fo.Dataset | fo.DatasetView,
    *,
    source: str | LabelSource,
    weights: str | os.PathLike[str] | None = None,
    model: str | None = None,
    refiner: str | os.PathLike[str] | None = None,
    tokens: Sequence[str] | None = None,
    classes: Phrases | Sequence[str] | None = None,
    settings: Settings | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> fo.Dataset | fo.DatasetView:
    """Label images and store mask, polygons and instances in the source's fields, replacing what was there.

    ``attention`` makes labels again from the maps kept with painted images, without loading a model. Other
    images, photographs included, are looked at by ``model``, with their ``prompt`` where they have one, else
    with the class names. ``yolov8`` looks at the images alone.

    Images that cannot be read are skipped and named in the log. The agreement with other sources is cleared on
    the samples that are labelled: compare again.

    Args:
        samples: a dataset or view; nothing outside of the view is touched.
        source: ``attention``, ``yolov8``, or a label source of your own.
        weights: for ``yolov8``, a segmentation checkpoint; the built-in one by default.
        model: for ``attention``, the model that looks at images without kept maps, the built-in one by default.
        refiner: for ``attention``, a Segment Anything model that redraws the objects it agrees about: a folder or a
            hub id such as ``facebook/sam-vit-base``. Instances that it redrew have ``refined`` set.
        tokens: for ``attention``, the names of learned tokens (``learn_token``), which then help words to find their
            classes and bring a threshold along: ``cut`` is "learned" unless the settings name one. All images are
            looked at again, since kept maps were made without them.
        classes: names, or names with the phrases that mean them; all of the dataset's by default. New ones are
            added to the dataset's.
        settings: ``LabelSettings`` for ``attention``: how maps become labels; ``YoloSettings`` for ``yolov8``: which
            detections become labels. The defaults where left out.
        device: for the models; the best one there is by default.
        progress: called after each image.

    Returns:
        ``samples``.

    Raises:
        RecipeError: an unknown source, a setting or settings that the source does not take, no classes, or a token
            that is unknown or finds none of them.
        ModelError: a model cannot be loaded, or is not the one that a token was learned with.
        DatasetError: no image can be read, a field of that name has another type, or the dataset is deleted
            meanwhile.
    """
    given = {"weights": weights, "model": model, "refiner": refiner, "settings": settings, "tokens": tokens}
    name = _check_source(source, given)
    dataset = dataset_of(samples)
    wanted = wanted_classes(dataset, classes)
    if not wanted and isinstance(source, str):
        remedy = f"dataset '{dataset.name}' has no classes yet; name them, such as ['car', 'bus']"
        raise RecipeError("classes", None, remedy)
    worker: _Worker
    if not isinstance(source, str):
        worker = _FromImages(source)
    else:
        settings = settings if settings is not None else SETTINGS[source]()
        if isinstance(settings, YoloSettings):
            worker = _FromYolo(wanted, weights, device, settings)
        else:
            worker = _FromAttention(wanted, model, device, settings, refiner, tokens or ())
            settings = worker.settings

    record = {
        "source": name, "classes": list(wanted), "model": model,
        "weights": None if weights is None else os.fspath(weights),
        "refiner": None if refiner is None else os.fspath(refiner),
        "tokens": list(tokens) if tokens else None,
        "settings": None if settings is None else settings.model_dump(), "device": device, "samples": len(samples),
    }  # fmt: skip
    with _deletion_named(dataset.name), runs.recorded(dataset, "label", record) as run:
        saver = _Saver(dataset, name, wanted, run.key)
        if refiner is not None:
            declare_refined(dataset, name)
        meter = Meter(progress, len(samples))
        unreadable: list[str] = []
        ids = samples.values("id")
        for start in range(0, len(ids), _AT_ONCE):
            found, failed = _read(dataset.select(ids[start : start + _AT_ONCE], ordered=True))
            unreadable += failed
            for image, result in worker.results(found):
                saver.save(image, result)
                meter.advance()
            for path in failed:
                meter.advance(note=f"skipped {path}: it cannot be read")
        run.facts |= {"labelled": saver.saved, "unreadable": unreadable}
        if refiner is not None:
            run.facts["refined"] = saver.refined
        if unreadable and not saver.saved:
            raise DatasetError(f"none of the {len(unreadable)} images can be read, such as {unreadable[0]}")
    if unreadable:
        logger.warning("skipped %d images that cannot be read: %s", len(unreadable), ", ".join(unreadable))
    return samples


@contextmanager
def _deletion_named(name: str) -> Iterator[None]:
    """Say that the dataset was deleted where FiftyOne and its database have many ways to fail from that."""
    try:
        yield
    except Exception as error:
        if fo.dataset_exists(name):
            raise
        raise DatasetError(f"dataset '{name}' was deleted while it was labelled; open another one") from error


def _check_source(source: str | LabelSource, settings: Mapping[str, Any]) -> str:
    """The source's name, if there is such a source and it takes these settings."""
    if isinstance(source, str):
        if source not in SOURCES:
            raise RecipeError("source", source, f"use one of {', '.join(SOURCES)}, or pass a label source of your own")
        name, takes = source, _TAKES[source]
    elif source.name == "attention":
        raise RecipeError("source", source.name, "pass the name 'attention' itself, so that kept maps can be used")
    else:
        name, takes = source.name, ()
    for setting, value in settings.items():
        if value is not None and setting not in takes:
            raise RecipeError(setting, value, f"source '{name}' does not take it; leave it out")
    if isinstance(source, str) and settings["settings"] is not None:
        check_settings(source, settings["settings"])
    return fields.source(name)


def wanted_classes(dataset: fo.Dataset, classes: Phrases | Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    """Class -> phrases of what is to be labelled; what the dataset knows of a class is kept.

    Raises:
        RecipeError: ``classes`` is a single text, or empty.
    """
    known = read_classes(dataset)
    if classes is None:
        return known
    if isinstance(classes, str) or not classes:
        raise RecipeError("classes", classes, "give a list of class names, such as ['car', 'bus']")
    if isinstance(classes, Mapping):
        return {name: tuple(phrases) for name, phrases in classes.items()}
    return {name: known.get(name, (name,)) for name in classes}


def _read(samples: fo.DatasetView) -> tuple[list[_Image], list[str]]:
    """The samples with their pixels, and the paths of images that cannot be read."""
    found, failed = [], []
    for sample in samples:
        try:
            found.append(_Image(sample, read_image(sample.filepath)))
        except OSError:
            failed.append(sample.filepath)
    return found, failed


def _prompt(sample: fo.Sample) -> str | None:
    prompt = sample[fields.PROMPT] if sample.has_field(fields.PROMPT) else None
    return prompt if isinstance(prompt, str) else None


class _Image(NamedTuple):
    sample: fo.Sample
    pixels: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]


class _Result(NamedTuple):
    """``heatmaps`` are raw maps to be stored with the labels, None where the sample keeps those it has."""

    labels: Labels
    heatmaps: Heatmaps | None = None


class _Worker(Protocol):
    def results(self, images: Sequence[_Image]) -> Iterator[tuple[_Image, _Result]]: ...


class _FromImages:
    """Any label source that looks at the pixels alone."""

    def __init__(self, source: LabelSource) -> None:
        self._source = source

    def results(self, images: Sequence[_Image]) -> Iterator[tuple[_Image, _Result]]:
        labels = self._source.label([image.pixels for image in images]) if images else []
        for image, made in zip(images, labels, strict=True):
            yield image, _Result(made)


class _FromYolo:
    """YOLOv8, whose own class names count as phrases: what it calls a sedan is a car if the dataset says so."""

    def __init__(
        self, wanted: Phrases, weights: str | os.PathLike[str] | None, device: str | None, settings: YoloSettings
    ) -> None:
        from diffucurate.generator.sources.yolov8 import YoloSource

        self._classes = tuple(wanted)
        self._meanings = {phrase: name for name, phrases in wanted.items() for phrase in (*phrases, name)}
        path = None if weights is None else os.fspath(weights)
        self._source = YoloSource(self._meanings, path, device=device, **settings.model_dump())

    def results(self, images: Sequence[_Image]) -> Iterator[tuple[_Image, _Result]]:
        labels = self._source.label([image.pixels for image in images]) if images else []
        for image, made in zip(images, labels, strict=True):
            things = [Instance(self._meanings[thing.label], thing.mask, thing.confidence) for thing in made.instances]
            yield image, _Result(Labels.from_instances(things, self._classes, image.shape))


class _FromAttention:
    """Labels from kept maps where there are any, else from a model that looks at the image."""

    def __init__(
        self,
        wanted: Phrases,
        model: str | None,
        device: str | None,
        settings: LabelSettings,
        refiner: str | os.PathLike[str] | None,
        tokens: Sequence[str],
    ) -> None:
        #: With the threshold that tokens carry, where the person named none.
        self.settings = settings
        self._wanted, self._model, self._device = wanted, model, device
        self._by_tokens: AttentionSource | None = None
        if tokens:
            from diffucurate.generator.sources.attention import AttentionSource

            found = _found_tokens(tokens, wanted)
            self._model = model or next(iter(found.values())).provenance.model
            self._by_tokens = AttentionSource(wanted, self._model, device, settings, tokens=found)
            self.settings = self._by_tokens.settings
        self._refiner: SamRefiner | None = None
        if refiner is not None:
            from diffucurate.generator.labels.segment_anything import SamRefiner

            self._refiner = SamRefiner(os.fspath(refiner), device, settings.min_agreement)

    def results(self, images: Sequence[_Image]) -> Iterator[tuple[_Image, _Result]]:
        strangers = []
        for image in images:
            maps = self._kept(image.sample)
            if maps is None:
                strangers.append(image)
            else:
                yield image, _Result(self._labels(maps, image.pixels))
        if strangers:
            yield from self._look(strangers)

    def _kept(self, sample: fo.Sample) -> Heatmaps | None:
        """The sample's maps; None where it has none, where tokens are to look, or where ``model`` was named and they
        lack a class it could find."""
        path = sample[fields.ATTENTION_MAPS]
        if self._by_tokens is not None or path is None or not os.path.isfile(path):
            return None
        maps = read_maps(path)
        if self._model is not None:
            prompt = _prompt(sample)
            mentioned = self._wanted if prompt is None else find_phrases(prompt, self._wanted)
            if any(name not in maps for name in mentioned):
                return None
        return maps

    def _look(self, images: Sequence[_Image]) -> Iterator[tuple[_Image, _Result]]:
        from diffucurate.generator.sources.attention import AttentionSource

        source = self._by_tokens or AttentionSource(self._wanted, self._model or "tiny", self._device, self.settings)
        found = source.heatmaps([image.pixels for image in images], [_prompt(image.sample) for image in images])
        for image, raw in zip(images, found, strict=True):
            maps = as_stored(raw)
            yield image, _Result(self._labels(maps, image.pixels, source.calibrated), maps)

    def _labels(self, maps: Heatmaps, pixels: NDArray[np.uint8], calibrated: Sequence[str] = ()) -> Labels:
        chosen = {name: heat for name, heat in maps.items() if name in self._wanted}
        shape, classes = (pixels.shape[0], pixels.shape[1]), tuple(self._wanted)
        labels = labels_from_heatmaps(chosen, shape, classes, self.settings, pixels, calibrated=calibrated)
        return labels if self._refiner is None else self._refiner.refine(pixels, labels, chosen)


def _found_tokens(names: Sequence[str], wanted: Phrases) -> dict[str, ClassToken]:
    """Class -> the learned token that finds it."""
    from diffucurate.generator.attention.class_tokens import find_token

    tokens: dict[str, ClassToken] = {}
    for name in names:
        token = find_token(name)
        if token.label not in wanted:
            remedy = f"it finds '{token.label}', which is none of the classes ({', '.join(wanted)}); add it to them"
            raise RecipeError("tokens", name, remedy)
        if token.label in tokens:
            raise RecipeError("tokens", name, f"another one finds '{token.label}' too; name one token for each class")
        tokens[token.label] = token
    return tokens


class _Saver:
    """Writes one sample's labels: first the files, then the sample, then the old files go."""

    def __init__(self, dataset: fo.Dataset, source: str, wanted: Phrases, run_key: str) -> None:
        self._dataset, self._source, self._run_key = dataset, source, run_key
        self._folder: Path = media_folder(dataset)
        self._stale = _agreements_with(dataset, source)
        self._own = [fields.mask(source)]
        self._maps: list[str] = []
        self._classes: list[str] = []
        self._admit(wanted)
        self.saved = self.refined = 0

    def _admit(self, classes: Phrases) -> None:
        """Give the dataset classes, and the fields and colours that go with them."""
        before = set(self._dataset.get_field_schema())
        self._classes = list(extend_classes(self._dataset, classes))
        declare_label_fields(self._dataset, self._source, self._classes)
        if self._source == "attention":
            declare_heatmaps(self._dataset, classes)
            heatmaps = [name for name in map(fields.heatmap, self._classes) if self._has(name)]
            self._maps = [fields.ATTENTION_MAPS, *heatmaps]
        dress(self._dataset, self._source, before)

    def _has(self, name: str) -> bool:
        return bool(self._dataset.has_sample_field(name))

    def save(self, image: _Image, result: _Result) -> None:
        if new := [name for name in result.labels.classes if name not in self._classes]:
            self._admit({name: [name] for name in new})
        sample = image.sample
        job_id = sample[fields.JOB_ID] if self._has(fields.JOB_ID) else None
        stem = f"{job_id or sample.id}-{self._run_key}"
        labels = with_classes(result.labels, self._classes)
        values: dict[str, Any] = dict.fromkeys(self._stale)
        replaced = list(self._own)
        if result.heatmaps is not None:
            replaced += self._maps
            values |= dict.fromkeys(self._maps)
            values |= store_heatmaps(result.heatmaps, image.shape, self._folder, stem)
        values |= store_labels(self._source, labels, self._folder, stem)
        old = media_of(sample, replaced)
        for name, value in values.items():
            sample[name] = value
        try:
            sample.save()
        except ValueError:
            remove_files(media_of(sample, replaced), self._folder)
            if len(self._dataset.select(sample.id)):
                raise
            return  # somebody has deleted the sample meanwhile
        remove_files(old, self._folder)
        self.saved += 1
        self.refined += sum(instance.refined for instance in labels.instances)


def _agreements_with(dataset: fo.Dataset, source: str) -> list[str]:
    """The fields of agreements that new labels of ``source`` make void."""
    return [fields.agreement(*pair) for pair in compared(dataset) if source in pair]
