"""Draws ``images/adapter.png``: renders that an adapter has not seen, above what is true, below what it finds.

``python docs/draw_adapter.py ADAPTER.safetensors``, with one that ``benchmarks/adapter.py`` trained.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffucurate.generator.detection.adapter import load_adapter
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.labels.settings import AdapterLabelSettings
from diffucurate.generator.tiny.scenes import iter_scenes

#: Renders that no figure is of, and how large each is shown.
SEED, COUNT, SIDE = 906, 8, 160
COLOURS = ((235, 60, 60), (60, 200, 90), (70, 120, 240), (240, 200, 40), (200, 80, 220), (60, 210, 210))


def drawn(image: NDArray[np.uint8], instances: Sequence[Instance], named: bool) -> NDArray[np.uint8]:
    """An image with the outlines of its instances, and their classes and confidences where these are found ones."""
    shown = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    for index, each in enumerate(instances):
        mask = cv2.resize(each.mask.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        colour = COLOURS[index % len(COLOURS)]
        cv2.drawContours(shown, contours, -1, colour, 2)
        if named:
            rows, columns = np.nonzero(mask)
            place = int(columns.min()), max(10, int(rows.min()) - 3)
            text = f"{each.label} {each.confidence:.2f}"
            cv2.putText(shown, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 3, cv2.LINE_AA)
            cv2.putText(shown, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (255, 255, 255), 1, cv2.LINE_AA)
    return np.pad(shown, ((2, 2), (2, 2), (0, 0)), constant_values=255)


def main() -> None:
    adapter = load_adapter(Path(sys.argv[1]), "cpu")
    scenes = list(iter_scenes(COUNT, SEED))
    found = adapter.find([scene.image for scene in scenes], **AdapterLabelSettings().model_dump())
    truth = [[Instance(each.label, each.mask, 1.0) for each in scene.objects] for scene in scenes]
    rows = [
        np.hstack([drawn(scene.image, shown, named) for scene, shown in zip(scenes, labels, strict=True)])
        for labels, named in ((truth, False), (found, True))
    ]
    target = Path(__file__).parent / "images" / "adapter.png"
    Image.fromarray(np.vstack(rows)).quantize(128).save(target, optimize=True)


if __name__ == "__main__":
    main()
