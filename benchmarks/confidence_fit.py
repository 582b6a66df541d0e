"""The weights of the confidence by chances: ``python benchmarks/confidence_fit.py FOLDER``.

FOLDER as for ``photographs.py``. Objects are found by the library's defaults in three sets, each of which counts as
much: pasted shapes (``pasted_scenes``) with maps of random kinds, an eighth of them wrong; every other photograph with
all kinds of simulated maps but those of absent classes; and rendered scenes of ``SELECT_SEED`` with the built-in
model's own maps, by attention alone and with contrast. Two logistic regressions are fitted: whether an object's map is
of its class at all, and, where it is, whether its IoU is 0.5 or more, softly, so that the order of good objects counts
too. It prints the weights, which ``generator/labels/chance_confidence.py`` holds, and on the other photographs and on
scenes of ``REPORT_SEED``, kind by kind: Spearman's rank correlation with the true IoU, the expected calibration error,
both of the weights of the library too, the mean confidence and the share of objects that are right.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from attention_accuracy import PHRASES, REPORT_SEED, SELECT_SEED
from numpy.typing import NDArray
from photographs import photographs
from quality import Found, Mask, calibration_error, spearman, true_ious
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diffucurate.generator.labels import chance_confidence
from diffucurate.generator.labels.chance_confidence import MAP_IS_RIGHT, OBJECT_IS_RIGHT, Weights
from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.tiny.pasted_scenes import Composer
from diffucurate.generator.tiny.scenes import real_scenes
from diffucurate.generator.tiny.simulated_maps import KINDS, NOT_OF_THE_CLASS, Heat, Kind, random_kind, simulated

PASTED_SEED, PASTED_PX, PASTED_LEAST = 1, 128, 0.02
#: Share of the pasted images whose maps are not of their classes.
WRONG = 0.12
#: Kinds of maps that nothing is fitted on. A map of nothing falls into dozens of scraps, which would count for more
#: than all objects.
UNSEEN = ("absent32",)
#: Width in IoU of the step at 0.5.
SOFT = 0.1


class Case(NamedTuple):
    """An image, the masks of each class's objects, and maps of it."""

    kind: str
    image: NDArray[np.uint8]
    objects: Mapping[str, Sequence[Mask]]
    maps: Mapping[str, Heat]
    wrong: bool = False


class Rating(NamedTuple):
    """An object's signs, the confidence that it has today, its true IoU, and whether its map is not of its class."""

    kind: str
    signs: dict[str, float]
    confidence: float
    iou: float
    wrong: bool


def of_pasted(count: int) -> Iterator[Case]:
    rng = np.random.default_rng(PASTED_SEED)
    composer = Composer(rng)
    while count:
        short = int(PASTED_PX * rng.choice([0.66, 0.75, 1]))
        size = (PASTED_PX, short) if rng.random() < 0.65 else (short, PASTED_PX)
        image, covers = composer.pasted(size) if rng.random() < 0.7 else composer.areas(size)
        objects: dict[str, list[Mask]] = {}
        for label, cover in covers:
            mask = (composer.loosened(cover) if rng.random() < 0.5 else cover) > 0.5
            if np.count_nonzero(mask) > 12:
                objects.setdefault(label, []).append(mask)
        objects = {label: each for label, each in objects.items() if np.mean(np.any(each, axis=0)) > PASTED_LEAST}
        if objects:
            kind, wrong = random_kind(rng, bool(rng.random() < 0.6), PASTED_PX), rng.random() < WRONG
            if wrong:
                kind = replace(kind, fault="wrong")
            yield Case("pasted", image, objects, simulated(objects, kind, rng), bool(wrong))
            count -= 1


def of_photographs(folder: Path, half: int, kinds: Mapping[str, Kind]) -> Iterator[Case]:
    for photograph in photographs(folder, None)[half::2]:
        for kind, setting in kinds.items():
            rng = np.random.default_rng(zlib.crc32(f"{photograph.name} {kind}".encode()))
            maps = simulated(photograph.objects, setting, rng)
            yield Case(kind, photograph.image, photograph.objects, maps, setting.fault in NOT_OF_THE_CLASS)


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
    recorded: list[tuple[dict[str, float], float]] = []

    def confidences(masks: Sequence[Mask], chances: Heat, heat: Heat) -> list[float]:
        """Numbers instead of confidences, by which an object finds its signs again: they are sorted afterwards."""
        first = len(recorded)
        scores = chance_confidence.chance_confidences(masks, chances, heat)
        recorded.extend(zip(chance_confidence.signs(masks, chances, heat), scores, strict=True))
        return [number / 1e6 for number in range(first, len(recorded))]

    with patch("diffucurate.generator.labels.from_heatmaps.chance_confidences", confidences):
        labels = labels_from_heatmaps(case.maps, case.image.shape[:2], list(case.maps), image=case.image)
    found = [Found(one.label, one.mask, one.confidence) for one in labels.instances]
    truth = [Found(label, mask, 1.0) for label, masks in case.objects.items() for mask in masks]
    ious = true_ious(found, truth)
    return [
        Rating(case.kind, *recorded[round(one.score * 1e6)], iou, case.wrong)
        for one, iou in zip(found, ious, strict=True)
    ]


def fitted(names: Sequence[str], groups: Sequence[Sequence[Rating]], chance: Callable[[Rating], float]) -> Weights:
    """Weights of these signs for ``chance``, in [0, 1]; each group counts as much as another."""
    rows = [(rating, 1 / len(group)) for group in groups for rating in group]
    signs = np.array([[rating.signs[name] for name in names] for rating, _ in rows])
    chances, shares = np.array([chance(rating) for rating, _ in rows]), np.array([share for _, share in rows])
    # A chance is so much of a case for and so much of one against.
    weights = np.concatenate([chances * shares, (1 - chances) * shares])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=3000))
    truth = np.repeat([True, False], len(rows))
    model.fit(np.vstack([signs, signs]), truth, logisticregression__sample_weight=weights / weights.mean())
    scaler, regression = model[0], model[1]
    scaled = regression.coef_[0] / scaler.scale_
    bias = float(regression.intercept_[0] - scaled @ scaler.mean_)
    return Weights(dict(zip(names, (round(float(each), 3) for each in scaled), strict=True)), round(bias, 3))


def about_right(rating: Rating) -> float:
    """1 well above an IoU of 0.5, 0 well below."""
    return float(1 / (1 + np.exp(-(rating.iou - 0.5) / SOFT)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--pasted", type=int, default=5000)
    options = parser.parse_args()

    def rated(cases: Iterator[Case]) -> list[Rating]:
        return [rating for case in cases for rating in ratings(case)]

    chosen = [
        rated(of_pasted(options.pasted)),
        rated(of_photographs(options.folder, 0, {kind: KINDS[kind] for kind in KINDS if kind not in UNSEEN})),
        rated(of_scenes(options.scenes, SELECT_SEED)),
    ]
    of_map = fitted(tuple(MAP_IS_RIGHT.signs), chosen, lambda rating: 0.0 if rating.wrong else 1.0)
    right_maps = [[rating for rating in group if not rating.wrong] for group in chosen]
    of_object = fitted(tuple(OBJECT_IS_RIGHT.signs), right_maps, about_right)
    print(f"MAP_IS_RIGHT = {of_map}\nOBJECT_IS_RIGHT = {of_object}")

    others = [*rated(of_photographs(options.folder, 1, KINDS)), *rated(of_scenes(options.scenes, REPORT_SEED))]
    print("\n| maps | Spearman | today's | calibration error | today's | mean confidence | right | objects |")
    print("|---|" + "---|" * 7)
    kinds = {
        kind: [rating for rating in others if rating.kind == kind] for kind in dict.fromkeys(r.kind for r in others)
    }
    photographed = [rating for rating in others if rating.kind in KINDS and rating.kind not in UNSEEN]
    kinds |= {"photographs": [each for each in photographed if not each.wrong], "with wrong maps": photographed}
    for kind, rows in kinds.items():
        ious, todays = [row.iou for row in rows], [row.confidence for row in rows]
        with patch.multiple(chance_confidence, MAP_IS_RIGHT=of_map, OBJECT_IS_RIGHT=of_object):
            scores = [chance_confidence.confidence(row.signs) for row in rows]
        cells = (
            spearman(scores, ious),
            spearman(todays, ious),
            calibration_error(scores, ious),
            calibration_error(todays, ious),
            float(np.mean(scores)),
            float(np.mean([iou >= 0.5 for iou in ious])),
        )
        print(f"| {kind} | " + " | ".join(f"{cell:.3f}" for cell in cells) + f" | {len(rows)} |", flush=True)


if __name__ == "__main__":
    main()
