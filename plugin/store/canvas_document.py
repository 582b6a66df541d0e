"""A sample's record of its regions, and the job's ``Canvas`` read back from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone as fo

from diffucurate.generator.recipe.canvas import Canvas, CanvasRegion
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.plugin.store import field_names

#: Path below ``field_names.CANVAS`` -> its type. ``boxes`` are [x, y, width, height] in pixels; ``lost`` counts the
#: regions whose object was not found.
PARTS: dict[str, type[fo.Field]] = {
    "background": fo.StringField, "prompts": fo.ListField, "boxes": fo.ListField, "tries": fo.IntField,
    "min_confidence": fo.FloatField, "lost": fo.IntField,
}  # fmt: skip


def canvas_document(canvas: Canvas, lost: int | None = None) -> fo.DynamicEmbeddedDocument:
    """The value of ``field_names.CANVAS``."""
    return fo.DynamicEmbeddedDocument(
        background=canvas.background,
        prompts=[region.prompt for region in canvas.regions],
        boxes=[list(region.box) for region in canvas.regions],
        tries=canvas.tries,
        min_confidence=canvas.min_confidence,
        lost=lost,
    )


def canvas_in(sample: fo.Sample, classes: Mapping[str, Sequence[str]]) -> Canvas | None:
    """The ``Canvas`` that ``canvas_document`` wrote, with the phrases of ``classes``; None where the sample has none,
    or it was changed beyond recognition."""
    document = sample[field_names.CANVAS] if sample.has_field(field_names.CANVAS) else None
    if document is None:
        return None
    values: dict[str, Any] = {name: document[name] if document.has_field(name) else None for name in PARTS}
    prompts, boxes = values["prompts"] or [], values["boxes"] or []
    if values["background"] is None or len(prompts) != len(boxes) or any(len(box) != 4 for box in boxes):
        return None
    regions = tuple(
        CanvasRegion(prompt, tuple(box), find_phrases(prompt, classes))
        for prompt, box in zip(prompts, boxes, strict=True)
    )
    return Canvas(values["background"], regions, values["tries"], values["min_confidence"])
