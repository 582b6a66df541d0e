"""Do filters drop what is labelled wrongly? ``python benchmarks/filters.py [--images 200] [--spoiled 0.1]``.

Rendered scenes with exact masks, labelled by attention with the built-in model as it labels painted images, and by the
built-in YOLOv8 as the second source. Each filter drops the tenth of the images that it likes least, or as near to that
as equal values allow: its limit is chosen on scenes of ``SELECT_SEED`` and used on those of ``REPORT_SEED``. Columns:
the share that it drops there, the mean IoU of the labels (per class and image, classes without an object included) of
what it keeps and of what it drops, and by how much what it keeps is better than all.

``--spoiled`` is the share of the scenes that are blurred, the share that are dark, and the share whose prompt names a
class that they do not show, which is how painted images go wrong; 0 leaves all scenes as they are.

The second table is FreeMask's filter of pixels (Yang et al. 2023) by a source that gives instances alone: the chance of
a class at a pixel is that one of its instances there is right, the chance of background that none is, both normalised;
a pixel is ignored where the loss, -log of the chance of its label, is above 1.25 times the mean of its class.

FiftyOne's own database holds the datasets while they are measured.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from attention_accuracy import PHRASES, REPORT_SEED, SELECT_SEED
from PIL import Image

from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.quality.overlap import mean_iou
from diffucurate.generator.tiny.scenes import Scene, real_scenes

CHECKS = ("image", "masks", "flip", "mistakenness", "label_quality", "noise")

#: What is tried: name -> (the field, whether large values are good; None where both ends are bad).
FILTERS: dict[str, tuple[str, bool | None]] = {
    "contrast": ("contrast", True),
    "brightness": ("brightness", True),
    "sharpness": ("sharpness", True),
    "coverage, both ends": ("attention_coverage", None),
    "parts": ("attention_parts", False),
    "compactness": ("attention_compactness", True),
    "confidence (mean of the objects)": ("confidence", True),
    "flip consistency": ("attention_flip_iou", True),
    "prompt obedience by YOLOv8": ("yolov8_obedience", True),
    "prompt obedience by attention itself": ("attention_obedience", True),
    "agreement with YOLOv8": ("agreement_attention_yolov8", True),
    "mistakenness by YOLOv8": ("mistakenness_attention_yolov8", False),
    "objects that YOLOv8 lacks": ("spurious_attention_yolov8", False),
    "objects that attention lacks": ("missing_attention_yolov8", False),
    "IoU with YOLOv8": ("noise_iou_attention_yolov8", True),
    "cleanlab: boxes and classes": ("label_quality_attention", True),
    "cleanlab: pixels": ("label_quality_attention_pixels", True),
    "rank of that IoU in each class": ("noise_rank_attention_yolov8", True),
}
DROPPED = 0.1

#: FreeMask's factor, and the least chance of a label: no source is certain.
FACTOR, LEAST = 1.25, 0.02


def spoil(scene: Scene, share: float, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A scene's image and prompt as a painter may get them wrong."""
    image, prompt, chance = scene.image, scene.caption, rng.random()
    if chance < share:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(1.5, 3.5)))
    elif chance < 2 * share:
        image = (image * rng.uniform(0.05, 0.3)).astype(np.uint8)
    elif chance < 3 * share:
        absent = sorted(set(PHRASES) - {thing.label for thing in scene.objects})
        prompt += f" and a {rng.choice(absent)}"
    return image, prompt


class Pixels(NamedTuple):
    """The labels of all pixels of all scenes, whether they are right, and their losses by the second source."""

    labels: np.ndarray
    right: np.ndarray
    losses: np.ndarray


def losses(labels: np.ndarray, instances: Sequence[Instance]) -> np.ndarray:
    """-log of the chance that instances give each pixel's label."""
    wrong = np.ones((1 + len(PHRASES), *labels.shape))
    for each in instances:
        index = 1 + list(PHRASES).index(each.label)
        wrong[0][each.mask] *= 1 - each.confidence
        wrong[index][each.mask] *= 1 - each.confidence
    chances = 1 - wrong
    chances[0] = wrong[0]
    chance = np.take_along_axis(chances, labels[None].astype(int), 0)[0] / chances.sum(0)
    return -np.log(np.maximum(chance, LEAST))


def measured(count: int, seed: int, share: float, folder: Path) -> tuple[dict[str, Any], np.ndarray, Pixels]:
    """Filter -> the value of each scene, NaN where there is none, how right each one's labels are, and its pixels."""
    import fiftyone as fo

    import diffucurate as dc
    from diffucurate.plugin.store.instances import read_instances

    scenes, rng = real_scenes(count, seed), np.random.default_rng(seed)
    dataset = fo.Dataset()
    try:
        samples = []
        for index, scene in enumerate(scenes):
            image, prompt = spoil(scene, share, rng)
            Image.fromarray(image).save(folder / f"{seed}-{index}.png")
            samples.append(fo.Sample(str(folder / f"{seed}-{index}.png"), prompt=prompt))
        dataset.add_samples(samples)
        dc.label(dataset, source="attention", model="tiny", classes=PHRASES)
        dc.label(dataset, source="yolov8")
        dc.compare(dataset, "attention", "yolov8", mark=False)
        dc.assess(dataset, source="attention", checks=CHECKS, against="yolov8")
        for source in ("attention", "yolov8"):
            dc.assess(dataset, source=source, checks=["prompt"])
        rows = dataset.values("attention_instances.detections.confidence")
        values: dict[str, Any] = {"confidence": [float(np.mean(row)) if row else None for row in rows]}
        for field, _ in FILTERS.values():
            if field not in values:
                values[field] = dataset.values(field)
        right, pixels = [], []
        for sample, scene in zip(dataset, scenes, strict=True):
            found = read_instances(sample.attention_instances, scene.image.shape[:2]).instances
            truth = [Instance(each.label, each.mask, 1.0) for each in scene.objects if each.label in PHRASES]
            right.append(mean_iou(found, truth))
            shape = scene.image.shape[:2]
            labels, exact = (Labels.from_instances(each, list(PHRASES), shape).semantic for each in (found, truth))
            second = read_instances(sample.yolov8_instances, shape).instances
            pixels.append((labels.ravel(), (labels == exact).ravel(), losses(labels, second).ravel()))
    finally:
        dataset.delete()
    columns = {name: np.asarray(column, float) for name, column in values.items()}
    return columns, np.asarray(right), Pixels(*map(np.concatenate, zip(*pixels, strict=True)))


def likes(values: np.ndarray, chosen_on: np.ndarray, large_is_good: bool | None) -> np.ndarray:
    """How much a filter likes each image; what has no value least of all."""
    known = chosen_on[np.isfinite(chosen_on)]
    if large_is_good is None:
        liked = -np.abs(np.searchsorted(np.sort(known), values) / len(known) - 0.5)
    else:
        liked = values if large_is_good else -values
    return np.where(np.isfinite(values), liked, -np.inf)


def limit_of(liked: np.ndarray) -> float:
    """The least liking of what is kept, so that about a tenth of the images is dropped."""
    dropped = {limit: float(np.mean(liked < limit)) for limit in np.unique(liked)[1:]}
    return min(dropped, key=lambda limit: abs(dropped[limit] - DROPPED), default=-np.inf)


def row(name: str, kept: np.ndarray, right: np.ndarray) -> str:
    means = [f"{right[part].mean():.3f}" if part.any() else "" for part in (kept, ~kept)]
    return f"| {name} | {1 - kept.mean():.0%} | {means[0]} | {means[1]} | {right[kept].mean() - right.mean():+.3f} |"


def pixel_rows(chosen_on: Pixels, reported: Pixels) -> list[str]:
    """What the filter of pixels ignores of objects and of background, and the share of right pixels."""
    means = {value: chosen_on.losses[chosen_on.labels == value].mean() for value in np.unique(chosen_on.labels)}
    limits = np.asarray([FACTOR * means.get(value, np.inf) for value in reported.labels])
    kept, rows = reported.losses <= limits, []
    for name, part in (("objects", reported.labels > 0), ("background", reported.labels == 0)):
        right = [reported.right[part & chosen].mean() for chosen in (np.ones_like(kept), kept, ~kept)]
        rows.append(f"| {name} | {(~kept)[part].mean():.1%} | " + " | ".join(f"{share:.3f}" for share in right) + " |")
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--spoiled", type=float, default=0.1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        chosen_on, _, pixels = measured(options.images, SELECT_SEED, options.spoiled, Path(folder))
        values, right, reported = measured(options.images, REPORT_SEED, options.spoiled, Path(folder))
    print(f"All {len(right)} images: {right.mean():.3f}\n")
    print("| filter | dropped | kept | dropped | gain |\n|---|---|---|---|---|")
    for name, (field, large_is_good) in FILTERS.items():
        tried = likes(chosen_on[field], chosen_on[field], large_is_good)
        limit = limit_of(tried)
        print(row(name, likes(values[field], chosen_on[field], large_is_good) >= limit, right), flush=True)
    keeps_best = right >= np.quantile(right, DROPPED)
    print(row("the truth itself (the bound)", keeps_best, right))
    print("\n| pixels of | ignored | right | right of the kept | right of the ignored |\n|---|---|---|---|---|")
    print("\n".join(pixel_rows(pixels, reported)))


if __name__ == "__main__":
    main()
