"""The labels of an init image as those of an image painted from it: the same kind, attributes and tags.

Relative coordinates hold at any size. What an earlier comparison left on labels is not theirs any more and is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from PIL import Image

from diffucurate.plugin.comparison.kinds import KINDS
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.media_files import write_png

#: What a comparison or evaluation leaves on labels begins so.
_MARKS = (*(name("") for name in (field_names.iou_with, field_names.matched_with, field_names.class_in)), "compare_",
          "evaluate_")  # fmt: skip


def carried_over(value: Any, name: str, size: tuple[int, int], folder: Path, stem: str) -> Any:
    """The value of the label field ``name`` for an image of (width, height) ``size``.

    Labels get ids of their own and say in ``carried_from`` which they are copies of; masks in files are taken into the
    database, but for semantic ones, which are written to ``folder``.
    """
    copy = value.copy()
    if isinstance(copy, fo.Segmentation):
        pixels = np.asarray(value.get_mask())
        if (pixels.shape[1], pixels.shape[0]) != size:
            pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST))
        own = fo.Segmentation(tags=list(value.tags or ()))
        if pixels.dtype == np.uint8:
            own.mask_path = str(write_png(folder / field_names.part(name) / f"{stem}.png", pixels))
        else:
            own.mask = pixels
        return own
    inner = getattr(copy, "detections", None) or getattr(copy, "polylines", None)
    originals = getattr(value, "detections", None) or getattr(value, "polylines", None)
    pairs = zip(inner or (), originals or (), strict=True) if inner else [(copy, value)]
    if isinstance(copy, fo.Detections | fo.Polylines) and not inner:
        return copy
    for label, original in pairs:
        _detach(label, original)
    return copy


def _detach(label: Any, original: Any) -> None:
    label.id = str(ObjectId())
    if isinstance(label, fo.Detection) and original.mask_path is not None:
        label.mask, label.mask_path = original.get_mask(), None
    for attribute in label.field_names:
        if attribute.startswith(_MARKS):
            label.clear_field(attribute)
    found = tuple(f"{kind} (" for kind in KINDS)
    label.tags = [tag for tag in label.tags or () if tag != field_names.UNCONFIRMED and not tag.startswith(found)]
    label[field_names.CARRIED_FROM] = str(original.id)
