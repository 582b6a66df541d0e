"""Measures images and labels: each check leaves numbers on the samples, by which they are sorted, filtered, curated."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.sources.protocol import DEFAULT_BATCH
from diffucurate.plugin.appearance.scheme import place_fields
from diffucurate.plugin.labelling.start import wanted_classes
from diffucurate.plugin.quality.brain_checks import forget_mistakenness, mistakenness
from diffucurate.plugin.quality.checks import CHECKS, USUAL, unseen_name
from diffucurate.plugin.quality.flip_check import flip_check
from diffucurate.plugin.quality.image_checks import (
    CheckedImage,
    ClipCheck,
    ImageCheck,
    MaskCheck,
    PixelCheck,
    PromptCheck,
)
from diffucurate.plugin.quality.label_quality import label_quality
from diffucurate.plugin.quality.label_runs import latest_label_run
from diffucurate.plugin.quality.noise_check import noise
from diffucurate.plugin.quality.start import check_assess, check_folds, check_prompts, wanted_checks
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.as_detections import detections_field
from diffucurate.plugin.store.instances import UnreadableInstanceError, read_instance
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import all_images, dataset_of, prompt_of
from diffucurate.plugin.store.schema import MeasureField, declare_measures, declare_shape_measures

if TYPE_CHECKING:
    from diffucurate.generator.segmenters.settings import SegmenterSettings
    from diffucurate.generator.sources import LabelSource

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assessment:
    """What ``assess`` wrote.

    ``fields`` maps each field to what its number means, ``means`` to the mean over the samples that have one, None
    where none has. ``unreadable`` names images that cannot be read, which have no values.
    """

    samples: int
    fields: Mapping[str, str]
    means: Mapping[str, float | None]
    unreadable: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def assess(
    samples: fo.Dataset | fo.DatasetView,
    *,
    source: str | LabelSource | None = None,
    checks: Sequence[str] = USUAL,
    against: str | None = None,
    folds: int | None = None,
    training: SegmenterSettings | None = None,
    clip_model: str | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    progress: Listener | None = None,
) -> Assessment:
    """Measure images and labels, and store the numbers on the samples.

    Each number is a field with a slider in the App, and a rule of ``curate`` by its name:
    ``curate(..., scores={"sharpness": (0.1, None)})``. Nothing is dropped here. New labels of a source clear what was
    measured of its earlier ones.

    Args:
        samples: a dataset or view; nothing outside of the view is touched.
        source: the label source whose labels are measured, or the name of any field of labels. For ``flip`` it may
            be a label source of your own that made the labels of its name.
        checks: ``image`` (brightness, contrast, sharpness), ``masks`` (coverage, objects, parts, compactness),
            ``prompt`` (whether the source finds what the prompt asked for, and as many), ``flip`` (whether it labels
            the mirrored image alike), ``mistakenness`` (FiftyOne's, by a second source), ``label_quality`` (cleanlab's
            scores by a second source), ``noise`` (agreement with what a model predicts that was trained on other
            images, class by class) and ``clip`` (whether a CLIP model sees the prompted classes). Without a source the
            usual ones are ``image`` alone.
        against: the second source, for ``mistakenness``, ``label_quality`` and ``noise``.
        folds: makes the second source here, ``<source>_unseen``: so many segmenters are trained, each on the source's
            labels of all images but one part, which it then labels (DiffuMask's noise learning).
        training: how these are trained; the defaults of ``train_segmenter`` where left out.
        clip_model: for ``clip``, a folder or a hub id such as ``openai/clip-vit-base-patch32``.
        device: for models; the best one there is by default.
        batch_size: images that a model looks at together.
        progress: called after each image.

    Raises:
        InvalidSetting: no such check, or one without what it needs; labels that no source can make again, for ``flip``.
        DatasetError: no labels of a source, or a field of another type in the way.
        ModelError: a model cannot be loaded.
    """
    name = source if source is None or isinstance(source, str) else source.name
    if source is None or isinstance(source, str):
        wanted = check_assess(
            samples, source=source, checks=checks, against=against, folds=folds, clip_model=clip_model
        )
    else:  # one of the caller's own, which labels mirrored images itself
        if folds is not None:
            check_folds(samples, source.name, folds, against)
        second = against if folds is None else unseen_name(source.name)
        wanted = wanted_checks(checks, source.name, second, clip_model)
    against = against if folds is None else unseen_name(str(name))
    dataset = dataset_of(samples)
    if folds is not None:
        from diffucurate.plugin.quality.folds import predict_unseen

        learned = str(name), detections_field(samples, dataset, str(name))
        predict_unseen(samples, dataset, learned, folds, training, device, progress)
    paths = {each: detections_field(samples, dataset, each) for each in (name, against) if each is not None}
    image_checks = _image_checks(wanted, samples, dataset, source, clip_model, device, batch_size)
    if "mistakenness" in wanted:
        forget_mistakenness(dataset, str(name), str(against))
    fields: dict[str, MeasureField] = {}
    for check in wanted:
        fields |= CHECKS[check].fields(name or "", against or "")
    declare_measures(dataset, fields)
    if "masks" in wanted and name is not None:
        declare_shape_measures(dataset, paths[name])
    record = {
        "source": name,
        "checks": list(wanted),
        "against": against,
        "folds": folds,
        "clip_model": clip_model,
        "device": device,
        "samples": len(samples),
    }
    with runs.recorded(dataset, "assess", record) as run:
        unreadable: list[str] = []
        if image_checks:
            path = paths[name] if name is not None else None
            unreadable = _measure(dataset, samples, path, image_checks, fields, batch_size, progress)
        if "mistakenness" in wanted and name is not None and against is not None:
            mistakenness(samples, (name, paths[name]), (against, paths[against]))
        if "noise" in wanted and name is not None and against is not None:
            noise(dataset, samples.values("id"), (name, paths[name]), (against, paths[against]), progress)
        if "label_quality" in wanted and name is not None and against is not None:
            label_quality(samples, (name, paths[name]), (against, paths[against]))
        means = dict(zip(fields, samples.mean(list(fields)), strict=True)) if fields else {}
        meanings = {field: described.meaning for field, described in fields.items()}
        result = Assessment(len(samples), meanings, means, tuple(dict.fromkeys(unreadable)))
        run.facts |= {"means": means, "unreadable": list(result.unreadable)}
    if result.unreadable:
        logger.warning("%d images cannot be read, such as %s", len(result.unreadable), result.unreadable[0])
    place_fields(dataset)
    return result


def _image_checks(
    wanted: Sequence[str],
    samples: fo.Dataset | fo.DatasetView,
    dataset: fo.Dataset,
    source: str | LabelSource | None,
    clip_model: str | None,
    device: str | None,
    batch_size: int | None,
) -> list[ImageCheck]:
    """The checks that look at one image after the other, with their models loaded."""
    name = source if source is None or isinstance(source, str) else source.name
    made: list[ImageCheck] = []
    if "image" in wanted:
        made.append(PixelCheck())
    if name is not None and "masks" in wanted:
        made.append(MaskCheck(name))
    if name is not None and "prompt" in wanted:
        check_prompts(dataset)
        made.append(PromptCheck(name, wanted_classes(dataset, None), latest_label_run(dataset, name)))
    if source is not None and "flip" in wanted:
        made.append(flip_check(samples, dataset, source, device, batch_size))
    if clip_model is not None and "clip" in wanted:
        from diffucurate.generator.quality.clip_score import ClipScorer

        made.append(ClipCheck(ClipScorer(clip_model, device, batch_size), wanted_classes(dataset, None)))
    return made


def _measure(
    dataset: fo.Dataset,
    samples: fo.Dataset | fo.DatasetView,
    path: str | None,
    checks: Sequence[ImageCheck],
    fields: Mapping[str, MeasureField],
    batch_size: int | None,
    progress: Listener | None,
) -> list[str]:
    """Measure all images in batches, write what is found, and return the paths of those that cannot be read."""
    ids, at_once = samples.values("id"), max(batch_size or 0, DEFAULT_BATCH)
    needed = [name for name in (path, field_names.PROMPT) if name is not None and dataset.has_sample_field(name)]
    unreadable: list[str] = []
    meter = Meter(progress, len(ids))
    for start in range(0, len(ids), at_once):
        batch = all_images(dataset).select(ids[start : start + at_once], ordered=True).select_fields(needed)
        images = list(_read(batch, path, unreadable))
        columns: dict[str, dict[str, Any]] = defaultdict(dict)
        of_labels: dict[str, dict[str, Any]] = defaultdict(dict)
        for check in checks:
            usable = [image for image in images if image.labelled or not check.of_labels]
            for image, found in zip(usable, check.measure(usable), strict=True):
                for name, value in found.values.items():
                    columns[name][image.sample.id] = value
                for name, values in found.of_labels.items():
                    of_labels[name] |= values
        for name in fields:
            if name in columns:
                every = dict.fromkeys(ids[start : start + at_once]) | columns[name]
                dataset.set_values(name, every, key_field="id")
        for name, values in of_labels.items():
            if values and path is not None:
                dataset.set_label_values(f"{path}.detections.{name}", values)
        meter.advance(len(ids[start : start + at_once]))
    return unreadable


def _read(samples: fo.DatasetView, path: str | None, unreadable: list[str]) -> Iterator[CheckedImage]:
    """The samples whose images can be read, with those instances that can be read."""
    for sample in samples:
        try:
            pixels = read_image(sample.filepath)
        except OSError:
            unreadable.append(sample.filepath)
            continue
        value = None if path is None else sample[path]
        instances, label_ids = [], []
        for detection in (value.detections or []) if value is not None else []:
            try:
                instances.append(read_instance(detection, (pixels.shape[0], pixels.shape[1])))
                label_ids.append(str(detection.id))
            except UnreadableInstanceError:
                continue
        yield CheckedImage(sample, pixels, prompt_of(sample), instances, label_ids, value is not None)
