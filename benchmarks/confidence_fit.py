"""The weights of the confidence by chances: ``python benchmarks/confidence_fit.py FOLDER``.

FOLDER as for ``photographs.py``. Objects are found by the library's defaults in every other photograph, with all kinds
of simulated maps, the wrong ones among them, and in rendered scenes of ``SELECT_SEED`` with the built-in model's own
maps, by attention alone and with contrast. A logistic regression is fitted to whether an object's IoU is 0.5 or more,
the photographs and the scenes counting as much in all. It prints the weights, which
``generator/labels/chance_confidence.py`` holds, and on the other photographs and on scenes of ``REPORT_SEED``, kind by
kind: Spearman's rank correlation with the true IoU, the expected calibration error, that of the weights of the library,
the mean confidence and the share of objects that are right.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from attention_accuracy import PHRASES, REPORT_SEED, SELECT_SEED
from numpy.typing import NDArray
from photographs import photographs
from quality import Found, Mask, calibration_error, spearman, true_ious
from sklearn.linear_model import LogisticRegression

from diffucurate.generator.labels import chance_confidence
from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.tiny.scenes import real_scenes
from diffucurate.generator.tiny.simulated_maps import KINDS, Heat, simulated

SIGNS = tuple(chance_confidence.WEIGHTS)


class Case(NamedTuple):
    """An image, the masks of each class's objects, and a kind of maps of it."""

    kind: str
    image: NDArray[np.uint8]
    objects: Mapping[str, Sequence[Mask]]
    maps: Mapping[str, Heat]


class Rating(NamedTuple):
    """An object's signs, the confidence that it has today, and its true IoU."""

    kind: str
    signs: list[float]
    confidence: float
    iou: float


def of_photographs(folder: Path, half: int) -> Iterator[Case]:
    for photograph in photographs(folder, None)[half::2]:
        for kind, setting in KINDS.items():
            rng = np.random.default_rng(zlib.crc32(f"{photograph.name} {kind}".encode()))
            yield Case(kind, photograph.image, photograph.objects, simulated(photograph.objects, setting, rng))


def of_scenes(count: int, seed: int) -> Iterator[Case]:
    scenes = real_scenes(count, seed)
    images, captions = [scene.image for scene in scenes], [scene.caption for scene in scenes]
    for kind, contrast in (("attention", False), ("with contrast", True)):
        found = AttentionSource(PHRASES, contrast=contrast).heatmaps(images, captions)
        for scene, maps in zip(scenes, found, strict=True):
            objects = {
                label: [thing.mask for thing in scene.objects if thing.label == label]
                for label in dict.fromkeys(thing.label for thing in scene.objects)
            }
            yield Case(kind, scene.image, objects, maps)


def ratings(case: Case) -> list[Rating]:
    """Of every object that is found."""
    recorded: list[tuple[list[float], float]] = []

    def confidences(masks: Sequence[Mask], chances: Heat, heat: Heat) -> list[float]:
        """Numbers instead of confidences, by which an object finds its signs again: they are sorted afterwards."""
        scores = chance_confidence.chance_confidences(masks, chances, heat)
        first = len(recorded)
        for signs, score in zip(chance_confidence.signs(masks, chances, heat), scores, strict=True):
            recorded.append(([signs[name] for name in SIGNS], score))
        return [number / 1e6 for number in range(first, len(recorded))]

    with patch("diffucurate.generator.labels.from_heatmaps.chance_confidences", confidences):
        labels = labels_from_heatmaps(case.maps, case.image.shape[:2], list(case.maps), image=case.image)
    found = [Found(one.label, one.mask, one.confidence) for one in labels.instances]
    truth = [Found(label, mask, 1.0) for label, masks in case.objects.items() for mask in masks]
    ious = true_ious(found, truth)
    return [Rating(case.kind, *recorded[round(one.score * 1e6)], iou) for one, iou in zip(found, ious, strict=True)]


def fitted(*groups: Sequence[Rating]) -> tuple[dict[str, float], float]:
    """Weights and bias; each group counts as much as another."""
    rows = [rating for group in groups for rating in group]
    shares = [1 / len(group) for group in groups for _ in group]
    model = LogisticRegression(C=3, max_iter=3000)
    model.fit([row.signs for row in rows], [row.iou >= 0.5 for row in rows], np.array(shares) / np.mean(shares))
    return dict(zip(SIGNS, model.coef_[0].tolist(), strict=True)), float(model.intercept_[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, default=100)
    options = parser.parse_args()

    def rated(cases: Iterator[Case]) -> list[Rating]:
        return [rating for case in cases for rating in ratings(case)]

    chosen = rated(of_photographs(options.folder, 0)), rated(of_scenes(options.scenes, SELECT_SEED))
    weights, bias = fitted(*chosen)
    print("WEIGHTS =", {name: round(weight, 2) for name, weight in weights.items()}, " BIAS =", round(bias, 2))

    others = [*rated(of_photographs(options.folder, 1)), *rated(of_scenes(options.scenes, REPORT_SEED))]
    print("\n| maps | Spearman | calibration error | today's | mean confidence | right | objects |\n|---|" + "---|" * 6)
    for kind in dict.fromkeys(rating.kind for rating in others):
        rows = [rating for rating in others if rating.kind == kind]
        logits = np.array([[weights[name] for name in SIGNS] @ np.array(row.signs) + bias for row in rows])
        scores, ious = (1 / (1 + np.exp(-logits))).tolist(), [row.iou for row in rows]
        cells = (
            spearman(scores, ious),
            calibration_error(scores, ious),
            calibration_error([row.confidence for row in rows], ious),
            float(np.mean(scores)),
            float(np.mean([iou >= 0.5 for iou in ious])),
        )
        print(f"| {kind} | " + " | ".join(f"{cell:.3f}" for cell in cells) + f" | {len(rows)} |", flush=True)


if __name__ == "__main__":
    main()
