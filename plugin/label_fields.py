"""Which fields of a dataset hold labels with pixels. Light: forms ask it at every keystroke."""

from __future__ import annotations

import fiftyone as fo

from diffucurate.generator.errors import DatasetError

#: The kinds of labels that have pixels; of Detections only those with masks have.
KINDS = (fo.Detections, fo.Polylines, fo.Segmentation)


def learnable(dataset: fo.Dataset) -> list[str]:
    """The fields of these kinds, in alphabetical order."""
    return sorted(name for name, field in dataset.get_field_schema().items() if _kind(field) in KINDS)


def check_learnable(dataset: fo.Dataset, field: str) -> None:
    """See that ``field`` is one of them.

    Raises:
        DatasetError: it is not.
    """
    usable = learnable(dataset)
    if field not in usable:
        there = ", ".join(usable) or "none; draw masks in the App first"
        raise DatasetError(
            f"dataset '{dataset.name}' has no field '{field}' of detections, polylines or segmentations; there are: "
            f"{there}"
        )


def _kind(field: fo.Field) -> type | None:
    return field.document_type if isinstance(field, fo.EmbeddedDocumentField) else None
