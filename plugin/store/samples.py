"""Labels and jobs become FiftyOne's label types, and come back as the same pixels.

Knows FiftyOne's formats, no models and no files: boxes are relative ``[x, y, width, height]``, a Detection's
mask is cropped to its box, a Polyline is a list of rings of relative points. Nothing is written here but schemas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.plugin.fiftyone_private import add_fields, new_field, shows_patches_or_frames
from diffucurate.plugin.store import caption_document, field_names
from diffucurate.plugin.store.classes import mask_targets
from diffucurate.plugin.store.init_document import PARTS, init_document

if TYPE_CHECKING:
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.labels.polygons import Ring
    from diffucurate.generator.painting.conditions import Conditions

#: Share of a heatmap's peak below which the image shows through.
FAINT_HEAT = 0.3

#: Heatmaps are normalised to [0, 1] and stored as 8-bit images, so 1 is 255. The App reads a heatmap's range in
#: units of the file's values: with [0, 1] every pixel from 1 / 255 on would be painted in the brightest colour.
HEATMAP_RANGE = (0, 255)

_JOB_FIELDS: dict[str, type[fo.Field]] = {
    field_names.JOB_ID: fo.StringField, field_names.RUN_KEY: fo.StringField, field_names.TASK: fo.StringField,
    field_names.MODEL: fo.StringField, field_names.PROMPT: fo.StringField, field_names.NEGATIVE_PROMPT: fo.StringField,
    field_names.SEED: fo.IntField, field_names.STEPS: fo.IntField, field_names.GUIDANCE: fo.FloatField,
    field_names.SOURCE_ID: fo.StringField,
}  # fmt: skip
_CONDITIONS = dict(zip(field_names.PAINTED_PATHS, (fo.StringField, fo.IntField, fo.IntField), strict=True))


def dataset_of(samples: fo.Dataset | fo.DatasetView) -> fo.Dataset:
    """The dataset that ``samples`` is, or is a view into.

    Raises:
        DatasetError: it is neither, was deleted, holds other media than images, has no samples, or is a view whose
            samples are patches or frames of the dataset's own.
    """
    if not isinstance(samples, fo.Dataset | fo.DatasetView):
        raise DatasetError(f"expected a FiftyOne dataset or view, found {type(samples).__name__}")
    name = samples.name if isinstance(samples, fo.Dataset) else samples.dataset_name
    if not fo.dataset_exists(name):
        raise DatasetError(f"dataset '{name}' was deleted meanwhile; open another one")
    dataset = samples if isinstance(samples, fo.Dataset) else fo.load_dataset(name)
    if isinstance(samples, fo.DatasetView) and shows_patches_or_frames(samples):
        raise DatasetError("the view holds patches or frames, not whole images; pass the dataset or another view of it")
    if dataset.media_type not in ("image", None):
        raise DatasetError(f"dataset '{dataset.name}' holds {dataset.media_type} samples; use one of images")
    if not samples:
        what = f"dataset '{dataset.name}'" if samples is dataset else f"the view of dataset '{dataset.name}'"
        raise DatasetError(f"{what} has no samples; add some or choose another view")
    return dataset


def declare_job_fields(dataset: fo.Dataset, attributes: Iterable[str], classes: Iterable[str]) -> None:
    """Add the fields of painted samples to the schema, with the unique index that makes jobs addable once only.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    documents = dict.fromkeys((field_names.ATTRIBUTES, field_names.PAINTED), fo.DynamicEmbeddedDocument)
    _declare(dataset, {**_JOB_FIELDS, **documents})
    _declare(dataset, {**_CONDITIONS, **{f"{field_names.ATTRIBUTES}.{name}": fo.StringField for name in attributes}})
    declare_heatmaps(dataset, classes)
    # Partial: images that users add have no job id, and a plain unique index would allow only one such image.
    only_strings = {field_names.JOB_ID: {"$type": "string"}}
    dataset.create_index(field_names.JOB_ID, unique=True, partialFilterExpression=only_strings)


def declare_init_fields(dataset: fo.Dataset) -> None:
    """Add the fields of what images were painted from to the schema.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {field_names.SOURCE: fo.DynamicEmbeddedDocument})
    _declare(dataset, {f"{field_names.SOURCE}.{name}": kind for name, kind in PARTS.items()})


def declare_caption_fields(dataset: fo.Dataset) -> None:
    """Add the fields of the captions that images were painted from to the schema.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {field_names.CAPTION: fo.DynamicEmbeddedDocument})
    _declare(dataset, {f"{field_names.CAPTION}.{name}": kind for name, kind in caption_document.PARTS.items()})


def declare_heatmaps(dataset: fo.Dataset, classes: Iterable[str]) -> None:
    """Add the heatmap field of each class and the field for the raw maps' file."""
    _declare(
        dataset,
        {field_names.ATTENTION_MAPS: fo.StringField, **{field_names.heatmap(name): fo.Heatmap for name in classes}},
    )


def declare_label_fields(dataset: fo.Dataset, source: str, classes: Iterable[str]) -> None:
    """Add a label source's three fields to the schema and name its mask's ids.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    mask, polygons, instances = field_names.mask(source), field_names.polygons(source), field_names.instances(source)
    _declare(dataset, {mask: fo.Segmentation, polygons: fo.Polylines, instances: fo.Detections})
    _declare(
        dataset,
        {
            f"{polygons}.polylines.{field_names.AREA}": fo.FloatField,
            f"{polygons}.polylines.confidence": fo.FloatField,
            f"{instances}.detections.{field_names.AREA}": fo.FloatField,
        },
    )
    targets = mask_targets(classes)
    if dataset.mask_targets.get(mask) != targets:
        dataset.mask_targets[mask] = targets
        dataset.save()


def declare_refined(dataset: fo.Dataset, source: str) -> None:
    """Add the mark of instances that were redrawn to the schema, so that the App can filter by it.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {f"{field_names.instances(source)}.detections.{field_names.REFINED}": fo.BooleanField})


def _declare(dataset: fo.Dataset, kinds: Mapping[str, type[Any]]) -> None:
    """Add those fields that are not there yet, field or document types by their paths."""
    missing = {}
    for path, kind in kinds.items():
        existing = dataset.get_field(path)
        if existing is None:
            missing[path] = kind
        elif kind not in (type(existing), getattr(existing, "document_type", None)):
            raise DatasetError(
                f"dataset '{dataset.name}' has a field '{path}' of another type; rename it or use another dataset"
            )
    if missing:
        add_fields(dataset, {path: new_field(path, kind) for path, kind in missing.items()})


def job_fields(
    job: Job, run_key: str, *, conditions: Conditions | None = None, source_id: str | None = None
) -> dict[str, Any]:
    """The values of a painted sample's own fields: all that is needed to make the image again.

    ``source_id`` is the sample of which this one is a variation.
    """
    return {
        field_names.JOB_ID: job.job_id,
        field_names.RUN_KEY: run_key,
        field_names.TASK: job.task,
        field_names.MODEL: job.model,
        field_names.PROMPT: job.prompt,
        field_names.NEGATIVE_PROMPT: job.negative_prompt,
        field_names.SEED: job.seed,
        field_names.STEPS: job.steps,
        field_names.GUIDANCE: job.guidance,
        field_names.ATTRIBUTES: fo.DynamicEmbeddedDocument(**job.attributes),
        field_names.PAINTED: None if conditions is None else fo.DynamicEmbeddedDocument(**asdict(conditions)),
        field_names.SOURCE_ID: source_id,
        **({} if job.source is None else {field_names.SOURCE: init_document(job.source)}),
        **({} if job.caption is None else {field_names.CAPTION: caption_document.caption_document(job.caption)}),
    }


def heatmap_pixels(heatmap: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A (H, W) heatmap in [0, 1] as the 8-bit image that is shown: 255 for 1, 0 below ``FAINT_HEAT``.

    The App leaves out 0 and paints all else over the image. The maps that labels are made of stay whole.
    """
    shown = np.where(heatmap < FAINT_HEAT, 0, np.clip(heatmap, 0, 1))
    return np.round(shown * 255).astype(np.uint8)


def label_fields(source: str, labels: Labels, mask_path: str) -> dict[str, fo.Label]:
    """The values of a label source's three fields; ``mask_path`` is where the semantic mask was written."""
    return {
        field_names.mask(source): fo.Segmentation(mask_path=mask_path),
        field_names.polygons(source): fo.Polylines(polylines=[to_polyline(instance) for instance in labels.instances]),
        field_names.instances(source): fo.Detections(
            detections=[to_detection(instance) for instance in labels.instances]
        ),
    }


def to_detection(instance: Instance) -> fo.Detection:
    """A Detection with the tight relative box, the mask cropped to it, and its share of the image as ``area``."""
    height, width = instance.mask.shape
    x0, y0, x1, y1 = instance.box
    return fo.Detection(
        label=instance.label,
        bounding_box=[x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height],
        mask=instance.mask[y0:y1, x0:x1],
        confidence=float(instance.confidence),
        **{field_names.AREA: instance.area / instance.mask.size},
        **({field_names.REFINED: True} if instance.refined else {}),
    )


def to_polyline(instance: Instance) -> fo.Polyline:
    """A closed, filled Polyline of all rings, outer ones and holes, simplified: points are what samples cost most.

    The App fills every ring, holes included; the exact pixels are in the Detection.
    """
    height, width = instance.mask.shape
    from diffucurate.generator.labels.polygons import simplify

    rings = [ring for polygon in simplify(instance.polygons) for ring in polygon]
    return fo.Polyline(
        label=instance.label,
        points=[_relative(ring, width, height) for ring in rings],
        closed=True,
        filled=True,
        confidence=float(instance.confidence),
        **{field_names.AREA: instance.area / instance.mask.size},
    )


def _relative(ring: Ring, width: int, height: int) -> list[tuple[float, float]]:
    return [(float(x) / width, float(y) / height) for x, y in ring]


def from_detection(detection: fo.Detection, shape: tuple[int, int]) -> Instance | None:
    """The Instance of a Detection in an image of (height, width) ``shape``; None where its mask is empty.

    A mask of another size than its box, as other tools write them, is scaled to it without smoothing; what lies
    outside the image is cut off. A Detection without confidence, such as ground truth, counts as certain.

    Raises:
        DatasetError: the Detection has no mask.
    """
    crop = detection.get_mask()
    if crop is None:
        raise DatasetError(f"an instance of '{detection.label}' has no mask, only a box; use a source that gives masks")
    height, width = shape
    x, y, wide, tall = detection.bounding_box
    x0, y0 = round(x * width), round(y * height)
    x1, y1 = max(round((x + wide) * width), x0 + 1), max(round((y + tall) * height), y0 + 1)
    rows = ((np.arange(y0, y1) - y0 + 0.5) * crop.shape[0] / (y1 - y0)).astype(int)
    columns = ((np.arange(x0, x1) - x0 + 0.5) * crop.shape[1] / (x1 - x0)).astype(int)
    placed = np.asarray(crop, np.bool_)[np.ix_(rows, columns)]
    mask = np.zeros(shape, np.bool_)
    top, left, bottom, right = max(y0, 0), max(x0, 0), min(y1, height), min(x1, width)
    mask[top:bottom, left:right] = placed[top - y0 : bottom - y0, left - x0 : right - x0]
    if not mask.any():
        return None
    confidence = 1.0 if detection.confidence is None else min(max(detection.confidence, 0.0), 1.0)
    return Instance(detection.label, mask, confidence)


def instances_of(detections: fo.Detections, shape: tuple[int, int]) -> list[Instance]:
    """The Instances of a Detections field, in its order, empty ones left out; see ``from_detection``."""
    made = (from_detection(detection, shape) for detection in detections.detections)
    return [instance for instance in made if instance is not None]


def prompt_of(sample: fo.Sample) -> str | None:
    """What the sample's image shows, where that is known."""
    prompt = sample[field_names.PROMPT] if sample.has_field(field_names.PROMPT) else None
    return prompt if isinstance(prompt, str) else None


def with_classes(labels: Labels, classes: Sequence[str]) -> Labels:
    """The same Labels with the ids of ``classes``, which must include all classes found."""
    if labels.classes == tuple(classes):
        return labels
    ids = np.arange(256, dtype=np.uint8)
    for index, name in enumerate(labels.classes):
        if name in classes:
            ids[1 + index] = 1 + list(classes).index(name)
    return Labels(ids[labels.semantic], labels.instances, tuple(classes))
