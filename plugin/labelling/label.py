"""Labels the samples of a dataset or view with a label source: what was asked is checked, done and recorded.

How a source labels is in ``labellers``, how labels are stored in ``writer``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.settings import SETTINGS, Settings, YoloSettings, check_settings
from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.labelling.labellers import FromAttention, FromImages, FromYolo, Image, Worker
from diffucurate.plugin.labelling.writer import LabelWriter
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.classes import Phrases, read_classes
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import dataset_of
from diffucurate.plugin.store.schema import declare_refined

if TYPE_CHECKING:
    from diffucurate.generator.sources import LabelSource

logger = logging.getLogger(__name__)

#: The label sources that can be named; any object with a name and a ``label`` method can be passed instead.
SOURCES = ("attention", "yolov8")

#: Images read and labelled together; the sources themselves batch by what fits the device.
_AT_ONCE = 16

#: Which of ``label``'s settings a source takes, besides classes and device.
_TAKES: dict[str, tuple[str, ...]] = {
    "attention": ("model", "settings", "refiner", "tokens", "contrast"),
    "yolov8": ("weights", "settings"),
}


def label(
    samples: fo.Dataset | fo.DatasetView,
    *,
    source: str | LabelSource,
    weights: str | os.PathLike[str] | None = None,
    model: str | None = None,
    refiner: str | os.PathLike[str] | None = None,
    tokens: Sequence[str] | None = None,
    contrast: bool | None = None,
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
        contrast: for ``attention``, whether a model that looks at an image is asked once more without each class, which
            finds more of an object and takes as many passes again for each; by default for images with a prompt. True
            looks at all images again, by default with the model that painted them.
        classes: names, or names with the phrases that mean them; all of the dataset's by default. New ones are
            added to the dataset's.
        settings: ``LabelSettings`` for ``attention``: how maps become labels; ``YoloSettings`` for ``yolov8``: which
            detections become labels. The defaults where left out.
        device: for the models; the best one there is by default.
        progress: called after each image.

    Returns:
        ``samples``.

    Raises:
        InvalidSetting: an unknown source, a setting or settings that the source does not take, no classes, or a token
            that is unknown or finds none of them.
        ModelError: a model cannot be loaded, or is not the one that a token was learned with.
        DatasetError: no image can be read, a field of that name has another type, or the dataset is deleted
            meanwhile.
    """
    given = {
        "weights": weights,
        "model": model,
        "refiner": refiner,
        "settings": settings,
        "tokens": tokens,
        "contrast": contrast,
    }
    name = _check_source(source, given)
    dataset = dataset_of(samples)
    wanted = wanted_classes(dataset, classes)
    if not wanted and isinstance(source, str):
        remedy = f"dataset '{dataset.name}' has no classes yet; name them, such as ['car', 'bus']"
        raise InvalidSetting("classes", None, remedy)
    worker: Worker
    if not isinstance(source, str):
        worker = FromImages(source)
    else:
        settings = settings if settings is not None else SETTINGS[source]()
        if isinstance(settings, YoloSettings):
            worker = FromYolo(wanted, weights, device, settings)
        else:
            if contrast and model is None and not tokens:
                model = _painter_of(samples)
            worker = FromAttention(wanted, model, device, settings, refiner, tokens or (), contrast)
            settings = worker.settings

    record = {
        "source": name,
        "classes": list(wanted),
        "model": model,
        "weights": None if weights is None else os.fspath(weights),
        "refiner": None if refiner is None else os.fspath(refiner),
        "tokens": list(tokens) if tokens else None,
        "contrast": contrast,
        "settings": None if settings is None else settings.model_dump(),
        "device": device,
        "samples": len(samples),
    }
    with _deletion_named(dataset.name), runs.recorded(dataset, "label", record) as run:
        saver = LabelWriter(dataset, name, wanted, run.key)
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
            raise InvalidSetting(
                "source", source, f"use one of {', '.join(SOURCES)}, or pass a label source of your own"
            )
        name, takes = source, _TAKES[source]
    elif source.name == "attention":
        raise InvalidSetting("source", source.name, "pass the name 'attention' itself, so that kept maps can be used")
    else:
        name, takes = source.name, ()
    for setting, value in settings.items():
        if value is not None and setting not in takes:
            raise InvalidSetting(setting, value, f"source '{name}' does not take it; leave it out")
    if isinstance(source, str) and settings["settings"] is not None:
        check_settings(source, settings["settings"])
    return field_names.source(name)


def _painter_of(samples: fo.Dataset | fo.DatasetView) -> str | None:
    """The model that painted the images; None where none was painted, whatever else a field of that name may hold.

    Raises:
        InvalidSetting: several models did.
    """
    models = (
        samples.exists(field_names.JOB_ID).distinct(field_names.MODEL)
        if samples.has_sample_field(field_names.JOB_ID)
        else []
    )
    if len(models) > 1:
        several = ", ".join(models)
        raise InvalidSetting(
            "contrast", True, f"{several} painted these images; name the model that is to look at them"
        )
    return models[0] if models else None


def wanted_classes(dataset: fo.Dataset, classes: Phrases | Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    """Class -> phrases of what is to be labelled; what the dataset knows of a class is kept.

    Raises:
        InvalidSetting: ``classes`` is a single text, or empty.
    """
    known = read_classes(dataset)
    if classes is None:
        return known
    if isinstance(classes, str) or not classes:
        raise InvalidSetting("classes", classes, "give a list of class names, such as ['car', 'bus']")
    if isinstance(classes, Mapping):
        return {name: tuple(phrases) for name, phrases in classes.items()}
    return {name: known.get(name, (name,)) for name in classes}


def _read(samples: fo.DatasetView) -> tuple[list[Image], list[str]]:
    """The samples with their pixels, and the paths of images that cannot be read."""
    found, failed = [], []
    for sample in samples:
        try:
            found.append(Image(sample, read_image(sample.filepath)))
        except OSError:
            failed.append(sample.filepath)
    return found, failed
