"""Do fused labels beat the best of their sources? ``python benchmarks/fusing.py [--images 200]``.

Rendered scenes with exact masks, labelled by attention with the built-in model, without and with contrast, and by the
built-in YOLOv8, each of which errs in its own way; a fourth source errs as careless people do: it misses objects, adds
some, and draws outlines too wide or too narrow. Rows: each source, all fused, and pairs fused. Columns: mean IoU of
semantic masks per class and image, AP50 of instances, F1 at IoU 0.5, and the share of pixels left open (255).

The settings' defaults were chosen on scenes of ``SELECT_SEED``; figures are of ``REPORT_SEED``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import combinations

import cv2
import numpy as np
from attention_accuracy import PHRASES, REPORT_SEED, SELECT_SEED
from quality import Found, average_precision_50, true_ious

from diffucurate.generator.fusion.fuse import fuse
from diffucurate.generator.fusion.settings import FusionSettings
from diffucurate.generator.labels.model import IGNORE, Instance, Labels
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.sources.yolov8_source import YoloSource
from diffucurate.generator.tiny.scenes import Scene, real_scenes

CLASSES = tuple(PHRASES)


def careless(scene: Scene, rng: np.random.Generator) -> list[Instance]:
    """A source that misses one object in five, names one in ten wrongly, and is too wide or too narrow by 2 px."""
    found = []
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    for thing in scene.objects:
        if rng.random() < 0.2 or thing.label not in CLASSES:
            continue
        change = cv2.dilate if rng.random() < 0.5 else cv2.erode
        mask = change(thing.mask.astype(np.uint8), kernel).astype(bool)
        label = str(rng.choice(CLASSES)) if rng.random() < 0.1 else thing.label
        if mask.any():
            found.append(Instance(label, mask, 0.8))
    return found


def rated(labels: Sequence[Labels], scenes: Sequence[Scene]) -> tuple[float, float, float, float]:
    """Mean IoU, AP50, F1 and the share of pixels left open."""
    ious, open_pixels, right, count = [], 0, 0, 0
    found = [[Found(one.label, one.mask, one.confidence) for one in each.instances] for each in labels]
    truths = [[Found(one.label, one.mask, 1.0) for one in scene.objects if one.label in CLASSES] for scene in scenes]
    for each, truth, objects in zip(labels, truths, found, strict=True):
        counted = each.semantic != IGNORE
        open_pixels += int((~counted).sum())
        for index, label in enumerate(CLASSES, 1):
            true = np.logical_or.reduce([np.zeros_like(counted), *(one.mask for one in truth if one.label == label)])
            if true.any():
                ours = each.semantic == index
                ious.append(float((ours & true & counted).sum() / max(1, ((ours | true) & counted).sum())))
        right += sum(value >= 0.5 for value in true_ious(objects, truth))
        count += len(objects) + len(truth)
    pixels = sum(each.semantic.size for each in labels)
    average = average_precision_50(found, truths)["mean"]
    return float(np.mean(ious)), average, 2 * right / max(count, 1), open_pixels / pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--choosing", action="store_true", help="the scenes that defaults were chosen on")
    options = parser.parse_args()
    scenes = real_scenes(options.images, SELECT_SEED if options.choosing else REPORT_SEED)
    images, captions = [scene.image for scene in scenes], [scene.caption for scene in scenes]
    rng = np.random.default_rng(0)
    sources: Mapping[str, Sequence[Sequence[Instance]]] = {
        "attention": [each.instances for each in AttentionSource(PHRASES, contrast=False).label(images, captions)],
        "contrast": [each.instances for each in AttentionSource(PHRASES, contrast=True).label(images, captions)],
        "yolov8": [each.instances for each in YoloSource(CLASSES).label(images)],
        "careless": [careless(scene, rng) for scene in scenes],
    }

    def fused(names: Sequence[str], settings: FusionSettings) -> list[Labels]:
        shapes = [image.shape[:2] for image in images]
        return [
            fuse({name: sources[name][index] for name in names}, CLASSES, shape, settings)
            for index, shape in enumerate(shapes)
        ]

    print("| labels | mean IoU | AP50 | F1 | left open |\n|---|---|---|---|---|")
    rows: list[tuple[str, list[Labels]]] = [
        (name, [Labels.from_instances(one, CLASSES, image.shape[:2]) for one, image in zip(found, images, strict=True)])
        for name, found in sources.items()
    ]
    rows += [(" + ".join(pair), fused(pair, FusionSettings())) for pair in combinations(sources, 2)]
    rows += [
        (f"all, {method}", fused(tuple(sources), FusionSettings(method=method)))
        for method in ("auto", "weighted", "em")
    ]
    for name, labels in rows:
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in rated(labels, scenes)) + " |", flush=True)


if __name__ == "__main__":
    main()
