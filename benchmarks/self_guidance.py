"""How near prompted objects come to the centre and size that were asked for: ``python benchmarks/self_guidance.py``.

    python benchmarks/self_guidance.py [--images 32] [--seed 5] [--pictures FILE]

One object an image, of four classes, its centre drawn from the middle of the image and its size from three. The
built-in YOLOv8 says where it is and how large. Weights were chosen with ``--seed 2``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from random import Random

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.recipe.guide import Guide, ObjectGuide
from diffucurate.generator.sources.yolov8_source import YoloSource
from diffucurate.generator.tiny.shapes import CLASSES

NAMES = ("car", "bus", "house", "tree")
SIZES = (0.06, 0.12, 0.2)


def jobs(count: int, seed: int, weight: float | None, parts: str) -> list[Job]:
    rng, made = Random(seed), []
    for index in range(count):
        label = NAMES[index % len(NAMES)]
        target = (rng.uniform(0.25, 0.75), rng.uniform(0.4, 0.7)), rng.choice(SIZES)
        center, size = (value if part in parts else None for part, value in zip("cs", target, strict=True))
        guide = None if weight is None else Guide((ObjectGuide(label, center, size),), weight)
        texts = {"task": "txt2img", "prompt": f"a photo of a {label} on a road at noon", "negative_prompt": ""}
        settings = {"seed": index, "size": (128, 128), "steps": 20, "guidance": 5.0, "model": "tiny", "guide": guide}
        made.append(Job.of(**texts, **settings, phrases={label: (label,)}, attributes={}))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--pictures", type=Path, help="a PNG file to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipe, yolo, rows = load_pipeline("tiny"), YoloSource(CLASSES), []
    wanted = jobs(options.images, options.seed, 1.0, "cs")
    print("| guided | found | centre off, of a side | size off, of the image | seconds an image |")
    print("|---|---|---|---|---|")
    for name, weight, parts in (("no", None, ""), ("centre", 12.0, "c"), ("centre and size", 12.0, "cs")):
        begun = time.perf_counter()
        images = [
            each.image for each in paint(jobs(options.images, options.seed, weight, parts), pipe=pipe, batch_size=8)
        ]
        seconds = (time.perf_counter() - begun) / len(images)
        places, sizes = [], []
        for job, labels in zip(wanted, yolo.label(images), strict=True):
            assert job.guide is not None
            label, center, size = job.guide.objects[0]
            seen = [each for each in labels.instances if each.label == label]
            if seen and center is not None and size is not None:
                largest = max(seen, key=lambda each: each.area)
                ys, xs = np.nonzero(largest.mask)
                places.append(np.hypot((xs.mean() + 0.5) / 128 - center[0], (ys.mean() + 0.5) / 128 - center[1]))
                sizes.append(abs(largest.area / 128**2 - size))
        found = f"{len(places)} of {len(images)}"
        print(f"| {name} | {found} | {np.mean(places):.3f} | {np.mean(sizes):.3f} | {seconds:.1f} |", flush=True)
        rows.append(np.concatenate([marked(*pair) for pair in zip(images[:12], wanted[:12], strict=True)], axis=1))
    if options.pictures is not None:
        Image.fromarray(np.concatenate(rows)).save(options.pictures)


def marked(image: NDArray[np.uint8], job: Job) -> NDArray[np.uint8]:
    """The image with a circle of the centre and the size that were asked for."""
    assert job.guide is not None
    (_, center, size) = job.guide.objects[0]
    assert center is not None and size is not None
    drawn = image.copy()
    place = round(128 * center[0]), round(128 * center[1])
    cv2.circle(drawn, place, round(128 * np.sqrt(size / np.pi)), (255, 0, 255), 1, cv2.LINE_AA)
    return drawn


if __name__ == "__main__":
    main()
