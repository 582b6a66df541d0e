"""A sample's record of its caption, and the job's ``CaptionSource`` read back from that."""

from __future__ import annotations

from typing import Any

import fiftyone as fo

from diffucurate.generator.captions.source import CaptionSource
from diffucurate.plugin.store import field_names

#: Path below ``field_names.CAPTION`` -> its type. A document's own ``id`` is taken, so a caption's has another name.
PARTS: dict[str, type[fo.Field]] = {
    "text": fo.StringField, "file": fo.StringField, "caption_id": fo.StringField, "image_id": fo.StringField,
    "classes": fo.ListField, "names": fo.ListField, "class_prompt": fo.StringField, "model": fo.StringField,
    "examples": fo.ListField,
}  # fmt: skip

_NAMES = {"id": "caption_id"}


def caption_document(caption: CaptionSource) -> fo.DynamicEmbeddedDocument:
    """The value of ``field_names.CAPTION``."""
    plain = caption.to_dict()
    return fo.DynamicEmbeddedDocument(**{_NAMES.get(name, name): value for name, value in plain.items()})


def caption_in(sample: fo.Sample) -> CaptionSource | None:
    """The ``CaptionSource`` that ``caption_document`` wrote; None where the sample has none, or no text."""
    document = sample[field_names.CAPTION] if sample.has_field(field_names.CAPTION) else None
    if document is None:
        return None
    values: dict[str, Any] = {name: document[name] if document.has_field(name) else None for name in PARTS}
    if values["text"] is None:
        return None
    own = {own: name for name, own in _NAMES.items()}
    return CaptionSource.from_dict({own.get(name, name): value for name, value in values.items() if value is not None})
