"""Canvases by the built-in model: how many regions hold their object, and whether neighbours of one class stay apart.

    python benchmarks/canvases.py [--canvases 40] [--pictures FOLDER]

Canvases of two to four objects; and pairs of one class whose regions overlap by a quarter, and by half. The built-in
YOLOv8, which knows nothing of regions, is the witness: AP50 of the labels of attention, with its objects as the truth;
and of the pairs that it sees as two objects, how many have two labels that match one each (IoU 0.5), made region by
region, and made from the class map of the same canvas as of any other image.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from quality import Found, average_precision_50, iou

from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.labels.from_canvas import placed
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.maps.canvas_maps import region_maps, tiles, whole_maps
from diffucurate.generator.labels.model import IGNORE, Instance, Labels
from diffucurate.generator.models.completed import completed
from diffucurate.generator.painting.painter import Painting, paint
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.sources.yolov8_source import YoloSource

NAMES = ("car", "bus", "truck", "person", "tree")
CLASSES = {name: [name] for name in NAMES}


def painted(count: int, names: Sequence[str], canvas: dict[str, Any], **content: Any) -> list[Painting]:
    recipe = {
        "dataset": "canvases",
        "task": "canvas",
        "canvas": {"background": "a {place} at noon", **canvas},
        "classes": {name: [name] for name in names},
        "templates": ["a {colour} {object} on a {place}"],
        "attributes": {
            "object": list(names),
            "colour": ["red", "blue", "yellow", "green"],
            "place": ["road", "beach", "park"],
        },
        "sample": {"count": count},
    }
    return list(paint(jobs(completed(Recipe.from_mapping({**recipe, **content})))))


def labels_of(painting: Painting, *, regions: bool) -> Labels:
    maps = painting.heatmaps if regions else whole_maps(painting.heatmaps)
    return labels_from_maps(maps, painting.image, CLASSES, painting.job.prompt)


def found_in(labels: Labels) -> list[Found]:
    return [Found(each.label, each.mask, each.confidence) for each in labels.instances]


def tells_apart(labels: Labels, pair: Sequence[Instance]) -> bool:
    """Whether two objects match one of the pair each."""
    fits = [[iou(each.mask, other.mask) >= 0.5 for other in pair] for each in labels.instances]
    return any(one[0] and other[1] for one in fits for other in fits if one is not other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--canvases", type=int, default=40)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    segmenter = YoloSource(NAMES)

    print("| tries | regions | with their object | AP50 by the witness | seconds a canvas |\n|---|---|---|---|---|")
    for tries in (1, 2):
        start = time.perf_counter()
        paintings = painted(options.canvases, NAMES, {"regions": [2, 4], "tries": tries})
        seconds = (time.perf_counter() - start) / len(paintings)
        regions = sum(len({each.order for each in region_maps(one.heatmaps).values()}) for one in paintings)
        lost = sum(painting.lost_regions for painting in paintings)
        labels = [labels_of(painting, regions=True) for painting in paintings]
        truth = [
            [Found(each.label, each.mask, each.confidence) for each in witnessed(segmenter, one) if known(each, own)]
            for one, own in zip(paintings, labels, strict=True)
        ]
        precision = float(np.mean(list(average_precision_50([found_in(each) for each in labels], truth).values())))
        print(f"| {tries} | {regions} | {1 - lost / regions:.3f} | {precision:.3f} | {seconds:.1f} |", flush=True)
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for index, (painting, of_image) in enumerate(zip(paintings, labels, strict=True)):
            Image.fromarray(outlined(painting.image, of_image)).save(options.pictures / f"{index}.png")

    print("\n| overlap of neighbours | pairs | apart by region | by the class map |\n|---|---|---|---|")
    for overlap, width in ((0.25, 224), (0.5, 192)):
        print(f"| {overlap} | " + " | ".join(map(str, neighbours(segmenter, options.canvases, overlap, width))) + " |")


def neighbours(segmenter: YoloSource, count: int, overlap: float, width: int) -> tuple[int, int, int]:
    """Pairs of one class side by side, those told apart by their regions, and those by the map of their class."""
    apart, whole, pairs = 0, 0, 0
    for name in NAMES:
        canvas = {"regions": 2, "overlap": overlap, "region": [128, 128], "tries": 1}
        for painting in painted(max(1, count // len(NAMES)), [name], canvas, size=[width, 128]):
            objects = [each for each in witnessed(segmenter, painting) if each.label == name]
            if len(objects) == 2:
                pairs += 1
                apart += tells_apart(labels_of(painting, regions=True), objects)
                whole += tells_apart(labels_of(painting, regions=False), objects)
    return pairs, apart, whole


def witnessed(segmenter: YoloSource, painting: Painting) -> list[Instance]:
    """The objects that the segmenter sees in the image, part by part at the size it was trained for, each once."""
    shape = painting.image.shape[0], painting.image.shape[1]
    regions = [each.box for each in painting.job.canvas.regions] if painting.job.canvas else []
    boxes = [*regions, *tiles(painting.job.size, regions[0][2:], 8)]
    crops = [np.ascontiguousarray(painting.image[y : y + h, x : x + w]) for x, y, w, h in boxes]
    seen = [
        Instance(each.label, placed(each.mask, box, shape), each.confidence)
        for box, labels in zip(boxes, segmenter.label(crops), strict=True)
        for each in labels.instances
    ]
    kept: list[Instance] = []
    for each in sorted(seen, key=lambda each: each.area, reverse=True):  # what a part cuts off lies within a larger one
        if all((each.mask & other.mask).sum() < 0.5 * each.area for other in kept):
            kept.append(each)
    return kept


def known(instance: Instance, labels: Labels) -> bool:
    """Whether an object is not mostly where labels are unknown."""
    return float((labels.semantic[instance.mask] == IGNORE).mean()) < 0.5


def outlined(image: np.ndarray[Any, Any], labels: Labels) -> np.ndarray[Any, Any]:
    """The image, and below it the same with the labels' outlines, regions without an object darkened."""
    drawn = image.copy()
    drawn[labels.semantic == IGNORE] //= 2
    for instance in labels.instances:
        inner = instance.mask.copy()
        for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
            inner &= np.roll(instance.mask, shift, axis)
        drawn[instance.mask & ~inner] = (255, 0, 255)
    return np.concatenate([image, drawn])


if __name__ == "__main__":
    main()
