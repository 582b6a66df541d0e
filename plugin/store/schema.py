"""The fields of Diffucurate's samples in a dataset's schema. Each is declared before its first value is written.

FiftyOne would add a field with the first value, but with types that it guesses from that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.fiftyone_private import add_fields, new_field, set_mask_targets
from diffucurate.plugin.store import canvas_document, caption_document, field_names, layout_document
from diffucurate.plugin.store.annotation import declare_annotation
from diffucurate.plugin.store.classes import mask_targets
from diffucurate.plugin.store.indexes import add_indexes
from diffucurate.plugin.store.init_document import PARTS
from diffucurate.plugin.store.label_fields import LabelField

_JOB_FIELDS: dict[str, type[fo.Field]] = {
    field_names.JOB_ID: fo.StringField, field_names.RUN_KEY: fo.StringField, field_names.TASK: fo.StringField,
    field_names.MODEL: fo.StringField, field_names.PROMPT: fo.StringField, field_names.NEGATIVE_PROMPT: fo.StringField,
    field_names.SEED: fo.IntField, field_names.STEPS: fo.IntField, field_names.GUIDANCE: fo.FloatField,
    field_names.SOURCE_ID: fo.StringField,
}  # fmt: skip
_DOCUMENTS = dict.fromkeys((field_names.ATTRIBUTES, field_names.PAINTED), fo.DynamicEmbeddedDocument)
_CONDITIONS = dict(zip(field_names.PAINTED_PATHS, (fo.StringField, fo.IntField, fo.IntField), strict=True))


def declare_job_fields(dataset: fo.Dataset, attributes: Collection[str], classes: Iterable[str]) -> None:
    """Add the fields of painted samples to the schema, with the unique index that makes jobs addable once only.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {**_JOB_FIELDS, **_DOCUMENTS})
    _declare(dataset, {**_CONDITIONS, **{f"{field_names.ATTRIBUTES}.{name}": fo.StringField for name in attributes}})
    declare_heatmaps(dataset, classes)
    # Partial: images that users add have no job id, and a plain unique index would allow only one such image.
    only_strings = {field_names.JOB_ID: {"$type": "string"}}
    dataset.create_index(field_names.JOB_ID, unique=True, partialFilterExpression=only_strings)
    add_indexes(dataset, [f"{field_names.ATTRIBUTES}.{name}" for name in attributes])


def check_painted_fields(dataset: fo.Dataset, classes: Iterable[str], sources: Iterable[str]) -> None:
    """See that the fields of painted samples and of their labels have room in the schema; changes nothing.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _missing(dataset, {**_JOB_FIELDS, **_DOCUMENTS, **_heatmaps(classes)})
    for source in sources:
        _missing(dataset, _label_fields(source))


def check_label_fields(dataset: fo.Dataset, source: str) -> None:
    """See that a label source's fields have room in the schema; changes nothing.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _missing(dataset, _label_fields(source))


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


def declare_canvas_fields(dataset: fo.Dataset) -> None:
    """Add the fields of canvases to the schema.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {field_names.CANVAS: fo.DynamicEmbeddedDocument})
    _declare(dataset, {f"{field_names.CANVAS}.{name}": kind for name, kind in canvas_document.PARTS.items()})


def declare_layout_fields(dataset: fo.Dataset) -> None:
    """Add the fields of the masks that images were painted by to the schema.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {field_names.LAYOUT: fo.DynamicEmbeddedDocument})
    _declare(dataset, {f"{field_names.LAYOUT}.{name}": kind for name, kind in layout_document.PARTS.items()})


def declare_heatmaps(dataset: fo.Dataset, classes: Iterable[str]) -> None:
    """Add the heatmap field of each class and the field for the raw maps' file."""
    _declare(dataset, _heatmaps(classes))


def _heatmaps(classes: Iterable[str]) -> dict[str, type[Any]]:
    return {field_names.ATTENTION_MAPS: fo.StringField, **{field_names.heatmap(name): fo.Heatmap for name in classes}}


def declare_label_fields(dataset: fo.Dataset, source: str, classes: Iterable[str]) -> None:
    """Add a label source's three fields to the schema, index what instances are filtered by, let the App annotate them,
    and name its mask's ids.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    mask, polygons, instances = field_names.mask(source), field_names.polygons(source), field_names.instances(source)
    _declare(dataset, _label_fields(source))
    _declare(
        dataset,
        {
            f"{polygons}.polylines.{field_names.AREA}": fo.FloatField,
            f"{polygons}.polylines.confidence": fo.FloatField,
            f"{instances}.detections.{field_names.AREA}": fo.FloatField,
        },
    )
    index_instances(dataset, instances)
    declare_annotation(dataset, instances, classes)
    targets = mask_targets(classes)
    if dataset.mask_targets.get(mask) != targets:
        set_mask_targets(dataset, mask, targets)


def _label_fields(source: str) -> dict[str, type[Any]]:
    return {
        field_names.mask(source): fo.Segmentation,
        field_names.polygons(source): fo.Polylines,
        field_names.instances(source): fo.Detections,
    }


def declare_instances(dataset: fo.Dataset, field: str) -> None:
    """Add one field of Detections, whose instances have areas, to the schema.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {field: fo.Detections})
    _declare(dataset, {f"{field}.detections.{field_names.AREA}": fo.FloatField})
    index_instances(dataset, field)


def index_instances(dataset: fo.Dataset, field: str) -> None:
    """Index that by which instances of Detections ``field`` are filtered in the App: class and confidence."""
    add_indexes(dataset, [f"{field}.detections.confidence", f"{field}.detections.label"])


def declare_agreement(dataset: fo.Dataset, a: str, b: str) -> str:
    """Add the field of how far two sources agree on a sample to the schema, with an index; returns its name.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    name = field_names.agreement(a, b)
    _declare(dataset, {name: fo.FloatField})
    add_indexes(dataset, [name])
    return name


def declare_matches(dataset: fo.Dataset, field: str, other: str) -> None:
    """Add what a comparison with another source leaves on the instances of Detections ``field`` to the schema, so that
    the App can filter by it.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    path = f"{field}.detections"
    marks: dict[str, type[fo.Field]] = {
        field_names.iou_with(other): fo.FloatField,
        field_names.matched_with(other): fo.BooleanField,
        field_names.class_in(other): fo.StringField,
    }
    _declare(dataset, {f"{path}.{name}": kind for name, kind in marks.items()})


def declare_refined(dataset: fo.Dataset, source: str) -> None:
    """Add the mark of instances that were redrawn to the schema, so that the App can filter by it.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {f"{field_names.instances(source)}.detections.{field_names.REFINED}": fo.BooleanField})


def declare_found_by(dataset: fo.Dataset, source: str) -> None:
    """Add the list of sources that have a fused instance to the schema, so that the App can filter by it.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    path = f"{field_names.instances(source)}.detections.{field_names.FOUND_BY}"
    if dataset.get_field(path) is None:
        dataset.add_sample_field(path, fo.ListField, subfield=fo.StringField)


def declare_carried(dataset: fo.Dataset, field: LabelField, kind: type[Any]) -> None:
    """Add a field of labels that are carried over to augmented images to the schema, with what the ids of its masks
    mean, and the attribute that names the label each is a copy of.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {field.name: kind})
    inner = {fo.Detections: ".detections", fo.Polylines: ".polylines"}.get(kind, "")
    if kind is not fo.Segmentation:
        _declare(dataset, {f"{field.name}{inner}.{field_names.CARRIED_FROM}": fo.StringField})
    elif field.name not in dataset.mask_targets and dict(dataset.default_mask_targets or {}) != dict(field.targets):
        set_mask_targets(dataset, field.name, field.targets)


def declare_mosaics(dataset: fo.Dataset) -> None:
    """Add the fields that say what a mosaic is made of to the schema.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    plain = {field_names.RUN_KEY: fo.StringField, field_names.TASK: fo.StringField}
    _declare(dataset, {**plain, field_names.MOSAIC: fo.DynamicEmbeddedDocument})
    if dataset.get_field(field_names.MOSAIC_PARENTS) is None:
        dataset.add_sample_field(field_names.MOSAIC_PARENTS, fo.ListField, subfield=fo.StringField)
    kinds = (fo.IntField, fo.IntField, fo.StringField)
    _declare(dataset, dict(zip(field_names.MOSAIC_PATHS[1:], kinds, strict=True)))


class MeasureField(NamedTuple):
    """A field of numbers that ``assess`` writes: what the number is, in a sentence, whether it is a whole one, and the
    label sources whose new labels make it void."""

    meaning: str
    whole: bool = False
    sources: tuple[str, ...] = ()


def declare_measures(dataset: fo.Dataset, fields: Mapping[str, MeasureField]) -> None:
    """Add fields of numbers to the schema, each with its meaning as the description, which the App shows with the name.

    Each has an index too, by which the App's slider is fast, while there is room for it.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    _declare(dataset, {name: fo.IntField if field.whole else fo.FloatField for name, field in fields.items()})
    for name, described in fields.items():
        field = dataset.get_field(name)
        info = {field_names.INFO: {"sources": list(described.sources)}}
        if field.description != described.meaning or field.info != info:
            field.description, field.info = described.meaning, info
            field.save()
    add_indexes(dataset, fields)


def declare_shape_measures(dataset: fo.Dataset, instances: str) -> None:
    """Add what ``assess`` finds of each instance's shape to the schema of the Detections field ``instances``.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    kinds = {field_names.PARTS: fo.IntField, field_names.COMPACTNESS: fo.FloatField}
    _declare(dataset, {f"{instances}.detections.{name}": kind for name, kind in kinds.items()})


def declare_mistakenness(dataset: fo.Dataset, source: str, against: str, names: Mapping[str, str]) -> None:
    """Add what FiftyOne's mistakenness leaves on instances to the schema, so that the App can filter by it.

    Args:
        dataset: that holds both.
        source, against: the Detections fields that are judged, and judged by.
        names: the keyword of ``compute_mistakenness`` that names a field -> its name.

    Raises:
        DatasetError: a field of that name exists with another type.
    """
    judged = f"{source}.detections.{names['mistakenness_field']}"
    kinds: dict[str, type[Any]] = {judged: fo.FloatField, f"{judged}_loc": fo.FloatField}
    kinds[f"{source}.detections.{names['spurious_field']}"] = fo.BooleanField
    kinds[f"{against}.detections.{names['missing_field']}"] = fo.BooleanField
    _declare(dataset, kinds)


def measures_in(dataset: fo.Dataset, source: str | None = None) -> list[str]:
    """The fields of numbers that ``assess`` has written, or those of them that new labels of ``source`` make void."""
    found = []
    for name, field in dataset.get_field_schema().items():
        ours = field.info.get(field_names.INFO) if isinstance(field.info, Mapping) else None
        if isinstance(ours, Mapping) and isinstance(sources := ours.get("sources"), list | tuple):
            found += [name] if source is None or source in sources else []
    return found


def _declare(dataset: fo.Dataset, kinds: Mapping[str, type[Any]]) -> None:
    """Add those fields that are not there yet, field or document types by their paths."""
    if missing := _missing(dataset, kinds):
        add_fields(dataset, {path: new_field(path, kind) for path, kind in missing.items()})


def _missing(dataset: fo.Dataset, kinds: Mapping[str, type[Any]]) -> dict[str, type[Any]]:
    """Those that are not there yet.

    Raises:
        DatasetError: one is there with another type.
    """
    missing = {}
    for path, kind in kinds.items():
        existing = dataset.get_field(path)
        if existing is None:
            missing[path] = kind
        elif kind not in (type(existing), getattr(existing, "document_type", None)):
            raise DatasetError(
                f"dataset '{dataset.name}' has a field '{path}' of another type; rename it or use another dataset"
            )
    return missing
