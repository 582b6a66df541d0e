"""Labels the samples of a dataset or view with a label source: what was asked is checked, done and recorded.

Which sources there are and how they label is in ``generator.sources``, how labels are stored in ``writer``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.settings import SourceSettings
from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.sources.protocol import DEFAULT_BATCH, LabelRequest, PixelLabeller
from diffucurate.generator.sources.registry import keeps_maps, source_named
from diffucurate.generator.text.class_names import some_of
from diffucurate.plugin.cluster.engine import Engine, chosen_engine
from diffucurate.plugin.labelling.start import check_label, wanted_classes
from diffucurate.plugin.labelling.work import LabelWork, Skipped, WorkHere, label_work
from diffucurate.plugin.labelling.writer import LabelWriter
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.classes import Phrases, set_phrases
from diffucurate.plugin.store.media_folder import media_folder
from diffucurate.plugin.store.run_files import marked_run
from diffucurate.plugin.store.samples import dataset_of
from diffucurate.plugin.store.schema import declare_refined
from diffucurate.plugin.store.source_names import check_new_source

if TYPE_CHECKING:
    from diffucurate.generator.sources import LabelSource

logger = logging.getLogger(__name__)


def label(
    samples: fo.Dataset | fo.DatasetView,
    *,
    source: str | LabelSource,
    into: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    model: str | None = None,
    refiner: str | os.PathLike[str] | None = None,
    tokens: Sequence[str] | None = None,
    contrast: bool | None = None,
    by: str | None = None,
    background: Sequence[str] | None = None,
    segmenter: str | os.PathLike[str] | None = None,
    detector: str | os.PathLike[str] | None = None,
    zoo_model: str | None = None,
    class_map: Mapping[str, str] | Sequence[str] | None = None,
    trust_pickle: bool = False,
    classes: Phrases | Sequence[str] | None = None,
    settings: SourceSettings | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    engine: Engine = None,
    progress: Listener | None = None,
) -> fo.Dataset | fo.DatasetView:
    """Label images and store mask, polygons and instances in the source's fields, replacing what was there.

    ``attention`` makes labels again from the maps kept with painted images, without loading a model. Other
    images, photographs included, are looked at by ``model``, with their ``prompt`` where they have one, else
    with the class names. ``yolov8`` and ``mask2former`` look at the images alone, ``grounding``
    is asked for the phrases of the classes, ``zoo`` is a detector or segmenter of FiftyOne's zoo.

    Images are turned as their EXIF data say, and labels, masks and heatmaps are of what is then shown.

    Images that cannot be read are skipped and named in the log. The agreement with other sources is cleared on
    the samples that are labelled: compare again.

    Args:
        samples: a dataset or view; nothing outside of the view is touched.
        source: ``attention``, ``yolov8``, ``mask2former``, ``grounding`` or another one that is registered by its name,
            or a label source of your own.
        into: under which name the labels are stored, ``<into>_instances`` and so on, by default the source's: one
            source with two models gives two sets of labels. Heatmaps are those of ``attention`` alone.
        weights: for ``yolov8``, a segmentation checkpoint; the built-in one by default.
        model: for ``attention``, the model that looks at images, unless they keep maps that it made. Without it kept
            maps are used, whoever made them; other images are refused, unless the built-in model painted them.
        refiner: for ``attention``, a Segment Anything model that redraws the objects it agrees about: a folder or a
            hub id such as ``facebook/sam-vit-base``. For ``grounding``, one that draws the object in each box, without
            which masks are whole boxes. Instances that it drew have ``refined`` set.
        tokens: for ``attention``, the names of learned tokens (``learn_token``), which then help words to find their
            classes; where the settings' ``cut`` is "learned", they bring a threshold along. All images are looked at
            again, since kept maps were made without them.
        contrast: for ``attention``, whether a model that looks at an image is asked once more without each class, which
            finds more of an object and takes as many passes again for each; by default for images with a prompt. True
            looks at all images again, by default with the model that painted them.
        by: for ``attention``, what a Stable Diffusion 3, Flux, Qwen-Image or Z-Image model finds classes by: ``words``
            of the prompt, the default, or ``concepts``: the first phrase of each class, which the prompt need not
            contain; all images are looked at again.
        background: for ``attention``, concepts that compete with the classes for the pixels, such as ``["sky"]``.
        segmenter: for ``mask2former`` and ``sam3``, the model: a folder that transformers saved it to, or a hub id such
            as ``facebook/mask2former-swin-tiny-coco-instance``.
        detector: for ``grounding``, the model, likewise, such as ``IDEA-Research/grounding-dino-tiny``.
        zoo_model: for ``zoo``, the name of a model of FiftyOne's zoo, such as ``yolo11n-seg-coco-torch``; FiftyOne
            downloads it where it is not there yet.
        class_map: for ``yolov8``, ``mask2former`` and ``zoo``, what the model calls classes and what they are here,
            ``{"sedan": "car"}`` or ``["sedan=car"]``. Names that differ in capitals, underscores or the plural match
            anyway.
        trust_pickle: for ``yolov8``, whether weights are read too that hold more than a network, which runs their code.
        classes: names, or names with the phrases that mean them (a text is one phrase); all of the dataset's by
            default. New ones are added to the dataset's, and phrases that are given take the place of earlier ones.
        settings: the source's own. ``LabelSettings`` for ``attention``: how maps become labels; ``YoloSettings`` for
            ``yolov8``, ``Mask2FormerSettings`` for ``mask2former``, ``GroundingSettings`` for ``grounding``,
            ``Sam3Settings`` for ``sam3`` and ``ZooSettings`` for ``zoo``: which detections become labels. The
            defaults where left out.
        device: for the models; the best one there is by default.
        batch_size: images that a model looks at together; by default what usually fits the device.
        engine: what labels: this process, or with ``"ray"`` or a ``RayEngine`` the actors of a Ray cluster, which need
            the images and the models at the same paths, but no database.
        progress: called after each image.

    Returns:
        ``samples``.

    Raises:
        InvalidSetting: an unknown source, a setting or settings that the source does not take, no classes, a token that
            is unknown or finds none of them, or a ``batch_size`` below 1.
        ModelError: a model cannot be loaded, or is not the one that a token was learned with; what the source needs is
            not installed.
        DatasetError: no image can be read, images keep no class maps (any more) and no model is named that is to look
            at them, a field of that name has another type, or the dataset is deleted meanwhile.
    """
    options = {
        "weights": None if weights is None else os.fspath(weights),
        "model": model,
        "refiner": None if refiner is None else os.fspath(refiner),
        "tokens": list(tokens) if tokens else None,
        "contrast": contrast,
        "by": by,
        "background": list(background) if background else None,
        "segmenter": None if segmenter is None else os.fspath(segmenter),
        "detector": None if detector is None else os.fspath(detector),
        "zoo_model": zoo_model,
        "class_map": [f"{name}={label}" for name, label in class_map.items()]
        if isinstance(class_map, Mapping)
        else class_map and list(class_map),
        "trust_pickle": trust_pickle or None,
    }
    if batch_size is not None and batch_size < 1:
        raise InvalidSetting("batch_size", batch_size, "use at least 1 image at a time")
    name = _check_source(source, options, settings)
    stored = into or name
    only_kept = isinstance(source, str) and keeps_maps(name) and model is None and not tokens and not contrast
    dataset = dataset_of(samples)
    remote = chosen_engine(engine)
    begun: AbstractContextManager[LabelWork]
    if isinstance(source, str):
        asked = check_label(
            samples, source, options, settings, classes, into=into, device=device, batch_size=batch_size
        )
        wanted = dict(asked.classes)
        if remote is None:
            begun = nullcontext(WorkHere(source_named(source).load(asked), only_kept))
        elif source_named(source).needs_database:
            raise InvalidSetting("engine", engine, f"source '{source}' needs FiftyOne's database; leave engine out")
        else:
            begun = label_work(source, asked, only_kept, remote, progress)
    else:
        if stored != name:
            check_new_source(dataset, stored, "label", "labelled")
        if remote is not None:
            raise InvalidSetting("engine", engine, f"source '{name}' is an object of this process; leave engine out")
        wanted = wanted_classes(dataset, classes)
        request = LabelRequest(wanted, None, options, device, batch_size)
        begun = nullcontext(WorkHere(PixelLabeller(source, request), only_kept))
    with begun as work:
        record = {
            "source": name,
            **({} if stored == name else {"into": stored}),
            "classes": list(wanted),
            **work.request.options,
            "settings": None if work.request.settings is None else work.request.settings.model_dump(),
            "device": device,
            "samples": len(samples),
        }
        with _deletion_named(dataset.name), runs.recorded(dataset, "label", record) as run:
            if isinstance(classes, Mapping):
                set_phrases(dataset, wanted)
            writer = LabelWriter(dataset, stored, wanted, run.key)
            if refiner is not None:
                declare_refined(dataset, stored)
            meter = Meter(progress, len(samples))
            unreadable: list[str] = []
            ids, at_once = samples.values("id"), max(batch_size or 0, DEFAULT_BATCH)
            with marked_run(media_folder(dataset), run.key):
                try:
                    for each in work.labelled(dataset, ids, at_once):
                        if isinstance(each, Skipped):
                            unreadable.append(each.path)
                            meter.advance(note=f"skipped {each.path}: it cannot be read")
                        else:
                            writer.save(each.image, each.result)
                            meter.advance()
                finally:
                    writer.remove_old()
            unseen, unmapped = list(work.unseen), list(work.unmapped)
            run.facts |= {"unseen": unseen} if unseen else {}
            run.facts |= {"unmapped": unmapped} if unmapped else {}
            run.facts |= {
                "labelled": writer.saved,
                "looked_at": writer.looked_at,
                "unreadable": unreadable,
                **work.facts,
            }
            if refiner is not None:
                run.facts["refined"] = writer.refined
            if unreadable and not writer.saved:
                raise DatasetError(f"none of the {len(unreadable)} images can be read, such as {unreadable[0]}")
    if unseen:
        logger.warning("source '%s' has no class for %s: it finds none of them", name, some_of(unseen))
    if unmapped:
        logger.info("source '%s' also knows %s, which are none of the classes: left out", name, some_of(unmapped))
    if unreadable:
        logger.warning("skipped %d images that cannot be read: %s", len(unreadable), ", ".join(unreadable))
    return samples


@contextmanager
def _deletion_named(name: str) -> Iterator[None]:
    """Say that the dataset was deleted where FiftyOne and its database have many ways to fail from that."""
    deleted = f"dataset '{name}' was deleted while it was labelled; open another one"
    try:
        yield
    except Exception as error:
        if fo.dataset_exists(name):
            raise
        raise DatasetError(deleted) from error
    if not fo.dataset_exists(name):
        raise DatasetError(deleted)


def _check_source(source: str | LabelSource, options: Mapping[str, Any], settings: SourceSettings | None) -> str:
    """The source's name, if there is such a source and it takes these options and settings."""
    if isinstance(source, str):
        source_named(source).check(options, settings)
        return field_names.source(source)
    if keeps_maps(source.name):
        raise InvalidSetting(
            "source", source.name, f"pass the name '{source.name}' itself, so that kept maps can be used"
        )
    for keyword, value in {**options, "settings": settings}.items():
        if value is not None:
            raise InvalidSetting(keyword, value, f"source '{source.name}' does not take it; leave it out")
    return field_names.source(source.name)
