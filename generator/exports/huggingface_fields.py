"""The columns of a row as fields of a Croissant record."""

from __future__ import annotations

from typing import Any

from diffucurate.generator.exports.croissant import Node, field

_COLUMNS = {"text": "sc:Text", "width": "sc:Integer", "height": "sc:Integer"}

#: Part of ``objects`` -> its type and the path to it, from one step to the next.
_PARTS = {
    "bbox": ("sc:Integer", ("bbox",)),
    "categories": ("sc:Integer", ("categories",)),
    "labels": ("sc:Text", ("labels",)),
    "area": ("sc:Integer", ("area",)),
    "confidence": ("sc:Float", ("confidence",)),
    "iscrowd": ("sc:Integer", ("iscrowd",)),
    "segmentation": ("sc:Text", ("segmentation", "counts")),
}


def fields_of_rows(split: str, source: Node) -> list[Node]:
    """The fields of a split's rows in ``source``, but the image. Of ``objects`` each part is a repeated field."""
    fields = [field(split, name, source, data_type) for name, data_type in _COLUMNS.items()]
    parts = []
    for name, (data_type, steps) in _PARTS.items():
        part: dict[str, Any] = field(split, "objects", source, data_type)
        part["@id"] = part["name"] = f"{split}/objects/{name}"
        part["source"]["transform"] = [{"jsonPath": step} for step in steps]
        parts.append({**part, "repeated": True})
    return [*fields, {"@type": "cr:Field", "@id": f"{split}/objects", "name": f"{split}/objects", "subField": parts}]
