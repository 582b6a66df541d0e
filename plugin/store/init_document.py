"""A sample's record of its init image, and the job's ``InitImage`` read back from that."""

from __future__ import annotations

from typing import Any

import fiftyone as fo

from diffucurate.generator.recipe.init_image import InitImage, Region
from diffucurate.plugin.store import field_names

#: Path below ``field_names.SOURCE`` -> its type; the last six are those of a replaced object.
PARTS: dict[str, type[fo.Field]] = {
    "dataset": fo.StringField, "sample_id": fo.StringField, "digest": fo.StringField, "strength": fo.FloatField,
    "template": fo.StringField, "field": fo.StringField, "instance": fo.StringField, "label": fo.StringField,
    "margin": fo.FloatField, "region": fo.StringField, "shape": fo.StringField,
}  # fmt: skip


def init_document(source: InitImage | None) -> fo.DynamicEmbeddedDocument | None:
    """The value of ``field_names.SOURCE``."""
    if source is None:
        return None
    plain = {name: value for name, value in source.to_dict().items() if name != "region"}
    if source.region is not None:
        region = {name: value for name, value in vars(source.region).items() if value is not None}
        plain |= {**region, "region": region["digest"], "digest": source.digest}
    return fo.DynamicEmbeddedDocument(**plain)


def init_image_in(sample: fo.Sample) -> InitImage | None:
    """The ``InitImage`` that ``init_document`` wrote; None where the sample has none, or not all of it any more."""
    document = sample[field_names.SOURCE] if sample.has_field(field_names.SOURCE) else None
    if document is None:
        return None
    values: dict[str, Any] = {name: document[name] if document.has_field(name) else None for name in PARTS}
    region = None
    if values["region"] is not None:
        parts = ("field", "instance", "label", "margin", "region", "shape")
        region = Region(*(values[name] for name in parts))
    if None in (values["digest"], values["strength"]):
        return None
    own = {name: values[name] for name in ("dataset", "sample_id", "digest", "strength", "template")}
    return InitImage(**own, region=region)
