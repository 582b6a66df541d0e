"""A sample's record of the mask that it was painted by, and the job's ``LayoutSource`` read back from that."""

from __future__ import annotations

from typing import Any

import fiftyone as fo

from diffucurate.generator.recipe.layout import LayoutSource
from diffucurate.plugin.store import field_names

#: Path below ``field_names.LAYOUT`` -> its type.
PARTS: dict[str, type[fo.Field]] = {
    "dataset": fo.StringField, "sample_id": fo.StringField, "field": fo.StringField, "digest": fo.StringField,
    "until": fo.FloatField, "boost": fo.FloatField, "words": fo.StringField,
    "guide": fo.FloatField,
}  # fmt: skip


def layout_document(layout: LayoutSource) -> fo.DynamicEmbeddedDocument:
    """The value of ``field_names.LAYOUT``."""
    return fo.DynamicEmbeddedDocument(**layout.to_dict())


def layout_in(sample: fo.Sample) -> LayoutSource | None:
    """The ``LayoutSource`` that ``layout_document`` wrote; None where the sample has none, or not all of it."""
    document = sample[field_names.LAYOUT] if sample.has_field(field_names.LAYOUT) else None
    if document is None:
        return None
    values: dict[str, Any] = {name: document[name] if document.has_field(name) else None for name in PARTS}
    values["guide"] = values["guide"] or 0.0
    return None if None in values.values() else LayoutSource(**values)
