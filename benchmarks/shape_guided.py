"""How far an object that becomes another keeps the outline of the old one: ``python benchmarks/shape_guided.py``.

    python benchmarks/shape_guided.py [--images 32] [--seed 702] [--pictures FILE]

The largest object of rendered scenes is replaced, by a class of a like shape, or by its own class in another colour.
Witnesses are the built-in YOLOv8 and the built-in model's attention at the finished image with the mask network, whose
IoU with the old outlines of the renders themselves is the most that they can see.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from quality import iou

from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting.init_images import SEAM, InitPixels, grown
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.painting.second_look import second_look
from diffucurate.generator.recipe.init_image import InitImage, Region
from diffucurate.generator.sources.yolov8_source import YoloSource
from diffucurate.generator.tiny.scenes import Scene, real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

#: What becomes what: classes whose outlines are alike, as far as this world has such.
OTHERS = {"car": "truck", "truck": "bus", "bus": "truck", "house": "bus", "tree": "sign", "sign": "tree"}

#: Least pixels of an object, of 128 x 128.
_LEAST = 900


class Edit(NamedTuple):
    """A scene, the old object's (H, W) bool mask, and what the image shall show instead."""

    scene: Scene
    mask: NDArray[np.bool_]
    label: str
    prompt: str


def edits(count: int, seed: int, *, other_class: bool) -> list[Edit]:
    found = []
    for scene in real_scenes(5 * count, seed):
        thing = max(scene.objects, key=lambda each: int(each.mask.sum()))
        if thing.label in OTHERS and thing.mask.sum() >= _LEAST:
            label = OTHERS[thing.label] if other_class else thing.label
            prompt = f"a photo of a red {label} on a {scene.attributes['place']} at {scene.attributes['time']}"
            found.append(Edit(scene, thing.mask.astype(np.bool_), label, prompt))
    return found[:count]


def painted(pipe: Any, wanted: Sequence[Edit], margin: float, shape: str | None) -> list[NDArray[np.uint8]]:
    jobs = []
    for index, edit in enumerate(wanted):
        region = Region("truth", str(index), "old", margin, str(index), shape)
        source = InitImage("scenes", str(index), str(index), 1.0, region)
        content = {"task": "inpaint", "prompt": edit.prompt, "negative_prompt": "", "attributes": {}, "seed": index}
        settings = {"size": (128, 128), "steps": 20, "guidance": 5.0, "model": "tiny", "source": source}
        jobs.append(Job.of(**content, **settings, phrases={edit.label: (edit.label,)}))

    def init_image(job: Job) -> InitPixels:
        edit = wanted[job.seed]
        return InitPixels(edit.scene.image, grown(edit.mask, margin), edit.mask if shape else None)

    return [each.image for each in paint(jobs, pipe=pipe, batch_size=16, init_images=init_image)]


def by_attention(pipe: Any) -> Callable[[Sequence[NDArray[np.uint8]], Sequence[str], Sequence[str]], list[Labels]]:
    def look(images: Sequence[NDArray[np.uint8]], prompts: Sequence[str], labels: Sequence[str]) -> list[Labels]:
        found = []
        for start in range(0, len(images), 16):
            part = slice(start, start + 16)
            phrases = [{label: (label,)} for label in labels[part]]
            maps = second_look(pipe, images[part], prompts[part], phrases)
            for image, heat, prompt, label in zip(images[part], maps, prompts[part], labels[part], strict=True):
                own = {name: each for name, each in heat.items() if name == label}
                found.append(labels_from_maps(own, image, {label: [label]}, prompt))
        return found

    return look


def outline_ious(labels: Sequence[Labels], wanted: Sequence[Edit], names: Sequence[str]) -> NDArray[np.float64]:
    return np.array(
        [
            max((iou(each.mask, edit.mask) for each in own.instances if each.label == name), default=0.0)
            for own, edit, name in zip(labels, wanted, names, strict=True)
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--seed", type=int, default=702)
    parser.add_argument("--pictures", type=Path, help="a PNG file to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipe, yolo = load_pipeline("tiny"), YoloSource(CLASSES)
    look = by_attention(pipe)
    print("| new object | way | by YOLOv8 | found | by attention | IoU of 0.9 | background identical |")
    print("|---|---|---|---|---|---|---|")
    rows: list[NDArray[np.uint8]] = []
    for other_class in (True, False):
        wanted = edits(options.images, options.seed, other_class=other_class)
        kind = "another class" if other_class else "the same, red"
        originals = [edit.scene.image for edit in wanted]
        ways: dict[str, tuple[float, str | None] | None] = {
            "the render": None,
            "free, margin 0.3": (0.3, None),
            "free, margin 0.1": (0.1, None),
            "outline kept": (0.1, "keep"),
        }
        for way, settings in ways.items():
            images = originals if settings is None else painted(pipe, wanted, *settings)
            old = [max(edit.scene.objects, key=lambda each: int(each.mask.sum())).label for edit in wanted]
            names = old if settings is None else [edit.label for edit in wanted]
            prompts = [edit.scene.caption if settings is None else edit.prompt for edit in wanted]
            seen = outline_ious(yolo.label(images), wanted, names)
            attended = outline_ious(look(images, prompts, names), wanted, names)
            kept = 1.0 if settings is None else identical(images, wanted, settings[0])
            print(
                f"| {kind} | {way} | {seen.mean():.3f} | {(seen >= 0.5).mean():.2f} | {attended.mean():.3f} | "
                f"{(attended >= 0.9).mean():.2f} | {kept:.3f} |",
                flush=True,
            )
            if way != "free, margin 0.1":
                rows.append(np.concatenate(images[:12], axis=1))
    if options.pictures is not None:
        Image.fromarray(np.concatenate(rows)).save(options.pictures)


def identical(images: Sequence[NDArray[np.uint8]], wanted: Sequence[Edit], margin: float) -> float:
    """The share of the pixels beyond margin and seam that are the init image's own."""
    same = []
    for image, edit in zip(images, wanted, strict=True):
        side = float(np.sqrt(np.count_nonzero(edit.mask)))
        beyond = ~grown(edit.mask, margin + (SEAM + 1) / side)
        same.append((image == edit.scene.image).all(axis=2)[beyond].mean())
    return float(np.mean(same))


if __name__ == "__main__":
    main()
