"""One image as a row of Hugging Face's ``datasets``, and the types of its columns. Knows nothing of that library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffucurate.generator.exports.annotation_file import box_xywh, run_length
from diffucurate.generator.exports.images import ExportRecord


def row_of(record: ExportRecord, classes: Sequence[str], size: tuple[int, int]) -> dict[str, Any]:
    """The columns of an image of (width, height) ``size``, but the image itself.

    ``segmentation`` is None for an instance of which only the box is known.
    """
    instances = record.instances
    return {
        "text": record.prompt,
        "width": size[0],
        "height": size[1],
        "objects": {
            "bbox": [box_xywh(instance) for instance in instances],
            "categories": [list(classes).index(instance.label) for instance in instances],
            "labels": [instance.label for instance in instances],
            "area": [instance.area for instance in instances],
            "confidence": [round(instance.confidence, 6) for instance in instances],
            "iscrowd": [int(index in record.crowds) for index in range(len(instances))],
            "segmentation": [None if instance.boxed else run_length(instance) for instance in instances],
        },
    }


def features(classes: Sequence[str]) -> dict[str, Any]:
    """The types of all columns, as ``datasets`` keeps them in a Parquet file's own metadata."""

    def value(dtype: str) -> dict[str, Any]:
        return {"dtype": dtype, "_type": "Value"}

    def several(of: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"feature": of, **more, "_type": "List"}

    return {
        "image": {"_type": "Image"},
        "text": value("string"),
        "width": value("int32"),
        "height": value("int32"),
        "objects": {
            "bbox": several(several(value("int32"), length=4)),
            "categories": several({"names": list(classes), "_type": "ClassLabel"}),
            "labels": several(value("string")),
            "area": several(value("int64")),
            "confidence": several(value("float32")),
            "iscrowd": several(value("int32")),
            "segmentation": several({"size": several(value("int32"), length=2), "counts": value("string")}),
        },
    }
