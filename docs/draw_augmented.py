"""Draws ``images/augmented.png``: renders and variants of them by each part, with the outlines of the kept labels.

``python docs/draw_augmented.py``; outlines of labels that attention does not confirm are red.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import diffucurate as dc
from diffucurate.generator.tiny.scenes import iter_scenes

#: Renders that no figure is of, and how large each is shown.
SEED, COUNT, SIDE = 905, 6, 192
GREEN, RED = (40, 220, 90), (235, 50, 50)


def drawn(sample: fo.Sample, confirmed: bool) -> NDArray[np.uint8]:
    """A sample's image with the outlines of its labels."""
    image = cv2.resize(np.asarray(Image.open(sample.filepath)), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    for detection in sample.truth.detections:
        mask = detection.to_segmentation(frame_size=(128, 128)).mask.astype(np.uint8)
        mask = cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        colour = RED if confirmed and "unconfirmed" in detection.tags else GREEN
        cv2.drawContours(image, contours, -1, colour, 2)
    return np.pad(image, ((2, 2), (2, 2), (0, 0)), constant_values=255)


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    dataset = fo.Dataset()
    for index, scene in enumerate(iter_scenes(COUNT, SEED)):
        path = folder / f"{index}.png"
        Image.fromarray(scene.image).save(path)
        labels = [fo.Detection.from_mask(each.mask, label=each.label) for each in scene.objects]
        dataset.add_sample(fo.Sample(str(path), truth=fo.Detections(detections=labels)))
    rows = [list(dataset)]
    for part, strength in (("image", 0.25), ("image", 0.5), ("image", 1.0), ("objects", 0.75), ("background", 1.0)):
        made = dc.augment(dataset, "truth", variants=1, part=part, strength=strength)
        by_parent = {sample.source_id: sample for sample in made}
        rows.append([by_parent[parent.id] for parent in rows[0]])
    picture = np.vstack([np.hstack([drawn(each, row > 0) for each in samples]) for row, samples in enumerate(rows)])
    Image.fromarray(picture).quantize(128).save(Path(__file__).parent / "images" / "augmented.png", optimize=True)
    dataset.delete()


if __name__ == "__main__":
    main()
