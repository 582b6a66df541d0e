"""Random views of a labelled image to learn from: mirrored, scaled and shifted, brighter or darker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from diffucurate.generator.detection.targets import Truth
from diffucurate.generator.labels.model import Instance

#: An object of which a view leaves less than this share is none.
_LEAST = 0.25


@dataclass(frozen=True, eq=False)
class Lesson:
    """An image, (H, W, 3) uint8 RGB, and its objects, whose masks have its size."""

    image: NDArray[np.uint8]
    instances: Sequence[Instance]


def view_of(lesson: Lesson, rng: np.random.Generator | None, side: int, zoom: float, flip: bool) -> Lesson:
    """A view of ``side`` x ``side`` pixels; without ``rng`` the whole image, as it is."""
    height, width = lesson.image.shape[:2]
    fit = np.array([[side / width, 0, 0], [0, side / height, 0], [0, 0, 1]])
    change, gain, lift = np.eye(3), 1.0, 0.0
    if rng is not None:
        scale = float(np.exp(rng.uniform(-np.log(zoom), np.log(zoom))))
        room = abs(1 - scale) * side
        x, y = rng.uniform(-room, room, 2) / 2 + (1 - scale) * side / 2
        change = np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])
        if flip and rng.random() < 0.5:
            change = np.array([[-1, 0, side], [0, 1, 0], [0, 0, 1]]) @ change
        gain, lift = rng.uniform(0.85, 1.15), rng.uniform(-12, 12)
    matrix = (change @ fit)[:2]
    image = cv2.warpAffine(lesson.image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = np.clip(image.astype(np.float32) * gain + lift, 0, 255).astype(np.uint8)
    scale = abs(float(np.linalg.det(matrix[:, :2])))
    seen = []
    for each in lesson.instances:
        mask = cv2.warpAffine(each.mask.astype(np.uint8), matrix, (side, side), flags=cv2.INTER_NEAREST) > 0
        if mask.any() and np.count_nonzero(mask) >= _LEAST * scale * each.area:
            seen.append(Instance(each.label, mask, 1.0, boxed=each.boxed))
    return Lesson(shown, seen)


def truth_of(view: Lesson, classes: Sequence[str], side: int, device: torch.device | str = "cpu") -> Truth:
    """A square view's objects as a head learns them, with masks of ``side`` x ``side``."""
    whole = view.image.shape[0]
    boxes = torch.tensor([each.box for each in view.instances], dtype=torch.float32).reshape(-1, 4) / whole
    masks = [
        cv2.resize(each.mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) for each in view.instances
    ]
    truth = Truth(
        torch.tensor([list(classes).index(each.label) for each in view.instances], dtype=torch.long),
        boxes,
        torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, side, side),
        torch.tensor([not each.boxed for each in view.instances], dtype=torch.bool),
    )
    return Truth(*(each.to(device) for each in truth))
