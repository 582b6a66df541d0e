"""What a head says of an image, as instances of that image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.nn import functional
from torchvision.ops import batched_nms

from diffucurate.generator.detection.head import Predictions, corners, mask_logits, places
from diffucurate.generator.labels.model import Instance

#: Objects of an image at most.
_MOST = 100


def instances(
    predictions: Predictions,
    index: int,
    shape: tuple[int, int],
    classes: Sequence[str],
    *,
    min_confidence: float,
    max_overlap: float,
    masks: bool = True,
) -> list[Instance]:
    """The objects of one image of a batch, the most confident first.

    Args:
        predictions: of the batch.
        index: of the image.
        shape: (height, width) of the image itself.
        classes: names by their ids.
        min_confidence: objects of lower confidence are left out.
        max_overlap: of two boxes of a class that overlap more (IoU), the less confident is left out.
        masks: whether masks were learned; else instances are ``boxed``.
    """
    grid = predictions.central.shape[-1]
    central = predictions.central[index].sigmoid().flatten()
    scores = (predictions.classes[index].sigmoid().flatten(1) * central).sqrt()
    kinds, at = (scores >= min_confidence).nonzero(as_tuple=True)
    confidence = scores[kinds, at]
    middles = places(grid, central)
    boxes = corners(predictions.boxes[index].flatten(1).T[at], middles[at]).clamp(0, 1)
    kept = batched_nms(boxes.float(), confidence.float(), kinds, max_overlap)[:_MOST]
    if not len(kept):
        return []
    height, width = shape
    logits = mask_logits(
        predictions.networks[index].flatten(1).T[at[kept]], predictions.masks[index], middles[at[kept]]
    )
    whole = functional.interpolate(logits[:, None], shape, mode="bilinear", align_corners=False)[:, 0] > 0
    found = []
    for row, mask in zip(kept.tolist(), whole.cpu().numpy(), strict=True):
        x0, y0, x1, y1 = (boxes[row].cpu().numpy() * (width, height, width, height)).tolist()
        box = np.zeros(shape, np.bool_)
        box[round(y0) : max(round(y0) + 1, round(y1)), round(x0) : max(round(x0) + 1, round(x1))] = True
        pixels = (mask & _grown(box)) if masks else box
        if pixels.any():
            confident = float(confidence[row].clamp(0, 1))
            found.append(Instance(classes[int(kinds[row])], pixels, confident, boxed=not masks))
    return found


def _grown(box: np.ndarray) -> np.ndarray:
    """A box with a tenth of its sides around it: boxes are less exact than masks."""
    rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
    if not rows.size:
        return box
    down, across = max(1, len(rows) // 10), max(1, len(columns) // 10)
    result = np.zeros_like(box)
    result[max(0, rows[0] - down) : rows[-1] + 1 + down, max(0, columns[0] - across) : columns[-1] + 1 + across] = True
    return result
