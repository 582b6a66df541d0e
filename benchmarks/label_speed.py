"""How long labels take once there are maps: ``python benchmarks/label_speed.py``.

Rendered scenes at 512 px and class maps of 64 x 64 as a Stable Diffusion 1.x model would give: each class's true mask,
made coarse, blurred and noised. One thread, in processor time, so that what else the machine does counts little, and
three ways one after the other in each round, so that it hits all alike: our labels without the image, ours with
outlines along the image's edges, and DiffuGen's recipe (peers/diffugen.py).

Prints a table: milliseconds per class map, the median over the rounds with the extremes. Instances, confidences and
the semantic mask are included; polygons, which are made when they are asked for, have a row of their own.

``--profile`` adds where the time goes, by function.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import platform
import pstats
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from peers.diffugen import diffugen

from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps, normalised_heatmaps
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.tiny.scenes import real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

GOALS_MS = {"ours, without the image": 3.0, "ours, along the image's edges": 10.0}


@dataclass(frozen=True)
class Case:
    """An image and its class maps."""

    image: NDArray[np.uint8]
    maps: dict[str, NDArray[np.float32]]


def cases(count: int, side: int, map_side: int, seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    found = []
    for scene in real_scenes(count, seed, size=(side, side)):
        maps = {}
        for label in dict.fromkeys(thing.label for thing in scene.objects):
            true = np.logical_or.reduce([thing.mask for thing in scene.objects if thing.label == label])
            coarse = cv2.resize(true.astype(np.float32), (map_side, map_side), interpolation=cv2.INTER_AREA)
            heat = 0.05 + 0.4 * cv2.GaussianBlur(coarse, (0, 0), map_side / 32)
            maps[label] = np.maximum(heat + 0.02 * rng.standard_normal(heat.shape), 0).astype(np.float32)
        found.append(Case(scene.image, maps))
    return found


def without_image(case: Case) -> Labels:
    return labels_from_heatmaps(case.maps, case.image.shape[:2], CLASSES)


def along_edges(case: Case) -> Labels:
    return labels_from_heatmaps(case.maps, case.image.shape[:2], CLASSES, image=case.image)


def by_diffugen(case: Case) -> None:
    for heat in normalised_heatmaps(case.maps, case.image.shape[:2]).values():
        diffugen(heat)


WAYS: dict[str, Callable[[Case], object]] = {
    "ours, without the image": without_image,
    "ours, along the image's edges": along_edges,
    "DiffuGen's recipe": by_diffugen,
}


def measure(todo: Sequence[Case], rounds: int) -> dict[str, list[float]]:
    """Way -> processor milliseconds per class map, one figure per round; a round before the first does not count."""
    number = sum(len(case.maps) for case in todo)
    figures: dict[str, list[float]] = {name: [] for name in (*WAYS, "polygons of ours")}
    for _ in range(rounds + 1):
        for name, way in WAYS.items():
            start = time.process_time()
            for case in todo:
                way(case)
            figures[name].append((time.process_time() - start) * 1000 / number)
        labelled = [along_edges(case) for case in todo]
        start = time.process_time()
        for labels in labelled:
            for instance in labels.instances:
                _ = instance.polygons
        figures["polygons of ours"].append((time.process_time() - start) * 1000 / number)
    return {name: values[1:] for name, values in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--side", type=int, default=512, help="of the images in pixels (default: %(default)s)")
    parser.add_argument("--map-side", type=int, default=64, help="of the maps (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--profile", action="store_true", help="also print where our time goes")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every figure there")
    options = parser.parse_args()

    cv2.setNumThreads(1)
    todo = cases(options.images, options.side, options.map_side, seed=502)
    figures = measure(todo, options.rounds)
    number = sum(len(case.maps) for case in todo)
    print(f"{options.images} images of {options.side} px, {number} class maps, one thread, {options.rounds} rounds\n")
    print("| | ms per class map, median (extremes) | goal |\n|---|---|---|")
    for name, values in figures.items():
        goal = f"{GOALS_MS[name]:.0f}" if name in GOALS_MS else ""
        print(f"| {name} | {statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f}) | {goal} |")
    if options.profile:
        profile = cProfile.Profile(time.process_time)
        profile.runcall(lambda: [along_edges(case) for case in todo])
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    if options.json:
        report = {"opencv": cv2.__version__, "numpy": np.__version__, "python": platform.python_version()}
        options.json.write_text(json.dumps({**report, "ms_per_map": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
