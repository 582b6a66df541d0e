"""How right labels are on photographs, against exact outlines: ``python benchmarks/photographs.py FOLDER``.

FOLDER holds ``images`` and, in a folder ``labels`` beside it, YOLO's segmentation labels of the same names; or give a
COCO file with ``--coco``. No diffusion model takes part: class maps are made from the exact masks, in the ways that
attention gets them wrong (``simulated_maps``), so what is measured is the way from maps to labels alone. Images are
brought to a longest side of 512 px; classes that cover less than 2 % of an image are left out.

The first table: mean IoU per class and image of each kind of maps for

- DiffuGen's recipe (peers/diffugen.py) and the map cut at 0.4, DAAM's threshold;
- ours: the library's defaults; with outlines by the guided filter instead of the mask network, so by nothing that was
  trained; with neither, by the maps alone;
- best cut: the best threshold of each map, which only someone who knows the truth can choose.

Then for each way, over all kinds: boundary F-score, instance AP50, Spearman's rank correlation of confidence with true
IoU, and the expected calibration error of confidence as the chance of an IoU of 0.5. The last table gives these for
ours by kind.

Every other image, in the order of their names, is for choosing settings (``--half choose``); figures to report are of
the others (``--half report``, the default). ``--pictures`` draws the images in which ours is furthest below the best
cut.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from peers.diffugen import diffugen
from pycocotools.coco import COCO
from quality import Found, Mask, average_precision_50, boundary_f, calibration_error, iou, spearman, true_ious

from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps, normalised_heatmaps
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.tiny.simulated_maps import KINDS, NOT_OF_THE_CLASS, Heat, simulated

SIDE_PX = 512
MIN_SHARE = 0.02
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

Image = NDArray[np.uint8]


class Photograph(NamedTuple):
    """An image of ``SIDE_PX`` with the masks of each class's objects."""

    name: str
    image: Image
    objects: dict[str, list[Mask]]

    @property
    def truths(self) -> dict[str, Mask]:
        return {label: np.logical_or.reduce(masks) for label, masks in self.objects.items()}


class Outcome(NamedTuple):
    """What a way finds in one image: the mask of each class, and objects where it tells any."""

    masks: dict[str, Mask]
    objects: list[Found]


def yolo_outlines(folder: Path) -> Iterator[tuple[Path, dict[str, list[list[NDArray[np.float64]]]]]]:
    """Per image its path and class -> objects, each a list of (N, 2) outlines in units of the image's sides."""
    for path in sorted(each for each in (folder / "images").rglob("*") if each.suffix.lower() in SUFFIXES):
        label_file = folder / "labels" / path.relative_to(folder / "images").with_suffix(".txt")
        objects: dict[str, list[list[NDArray[np.float64]]]] = defaultdict(list)
        for line in label_file.read_text().splitlines() if label_file.exists() else ():
            label, *numbers = line.split()
            if len(numbers) > 4:  # else a box
                objects[label].append([np.array(numbers, float).reshape(-1, 2)])
        yield path, objects


def coco_outlines(folder: Path, annotations: Path) -> Iterator[tuple[Path, dict[str, list[list[NDArray[np.float64]]]]]]:
    """The same of a COCO file; objects whose outline is no polygon, such as crowds, are left out."""
    coco = COCO(str(annotations))
    for image in sorted(coco.dataset["images"], key=lambda each: each["file_name"]):
        objects: dict[str, list[list[NDArray[np.float64]]]] = defaultdict(list)
        for each in coco.imgToAnns[image["id"]]:
            if isinstance(each.get("segmentation"), list):
                sides = np.array([image["width"], image["height"]], float)
                objects[coco.cats[each["category_id"]]["name"]].append(
                    [np.array(ring, float).reshape(-1, 2) / sides for ring in each["segmentation"]]
                )
        yield folder / image["file_name"], objects


def photographs(folder: Path, coco: Path | None) -> list[Photograph]:
    """All images that show something large enough."""
    listing = yolo_outlines(folder) if coco is None else coco_outlines(folder, coco)
    return [photograph for path, outlines in listing if (photograph := photograph_of(path, outlines)).objects]


def photograph_of(
    path: Path, outlines: Mapping[str, list[list[NDArray[np.float64]]]], least: float = MIN_SHARE
) -> Photograph:
    """An image with the masks of its outlines, of those classes that cover at least such a share of it."""
    pixels = cv2.imread(str(path))
    scale = SIDE_PX / max(pixels.shape[:2])
    size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    objects = {}
    for label, rings_of in outlines.items():
        masks = []
        for rings in rings_of:
            canvas = np.zeros(size[::-1], np.uint8)
            cv2.fillPoly(canvas, [np.round(ring * size).astype(np.int32) for ring in rings], 1)
            masks.append(canvas.astype(bool))
        masks = [mask for mask in masks if mask.any()]
        if masks and np.logical_or.reduce(masks).mean() >= least:
            objects[label] = masks
    return Photograph(path.stem, cv2.cvtColor(resized, cv2.COLOR_BGR2RGB), objects)


# Ways from maps to labels. Each gets the raw maps and, for the bound, the truth.


def by_diffugen(maps: Mapping[str, Heat], photograph: Photograph) -> Outcome:
    masks, objects = {}, []
    for label, heat in normalised_heatmaps(maps, photograph.image.shape[:2]).items():
        labels = diffugen(heat)
        masks[label] = labels.mask
        for polygon, score in zip(labels.polygons, labels.scores, strict=True):
            canvas = np.zeros(heat.shape, np.uint8)
            cv2.fillPoly(canvas, [np.round(polygon * heat.shape[::-1]).astype(np.int32)], 1)
            objects.append(Found(label, canvas.astype(bool), score))
    return Outcome(masks, objects)


def by_cut(maps: Mapping[str, Heat], photograph: Photograph) -> Outcome:
    heats = normalised_heatmaps(maps, photograph.image.shape[:2])
    return Outcome({label: heat > 0.4 for label, heat in heats.items()}, [])


def by_best_cut(maps: Mapping[str, Heat], photograph: Photograph) -> Outcome:
    masks = {}
    for label, heat in normalised_heatmaps(maps, photograph.image.shape[:2]).items():
        cuts = [heat > threshold for threshold in np.linspace(0.05, 0.95, 37)]
        masks[label] = max(cuts, key=lambda cut: iou(cut, photograph.truths[label]))
    return Outcome(masks, [])


def by_us(settings: LabelSettings) -> Callable[[Mapping[str, Heat], Photograph], Outcome]:
    def way(maps: Mapping[str, Heat], photograph: Photograph) -> Outcome:
        classes = list(photograph.objects)
        labels = labels_from_heatmaps(maps, photograph.image.shape[:2], classes, settings, photograph.image)
        masks = {label: labels.semantic == 1 + number for number, label in enumerate(classes)}
        return Outcome(masks, [Found(one.label, one.mask, one.confidence) for one in labels.instances])

    return way


OURS = "ours"
BEST = "best cut"
WAYS: dict[str, Callable[[Mapping[str, Heat], Photograph], Outcome]] = {
    "DiffuGen's recipe": by_diffugen,
    "cut at 0.4": by_cut,
    OURS: by_us(LabelSettings()),
    "ours, guided filter": by_us(LabelSettings(edges="filter")),
    "ours, edges off": by_us(LabelSettings(edges="off")),
    BEST: by_best_cut,
}


class Row(NamedTuple):
    """The figures of one image, kind of maps and way."""

    name: str
    kind: str
    way: str
    ious: list[float]
    outlines: list[float]
    found: list[Found]
    truth: list[Found]


def rows_of(photograph: Photograph) -> list[Row]:
    """Every kind of maps labelled in every way. The same maps for a photograph of the same name, always."""
    truth = [Found(label, mask, 1.0) for label, masks in photograph.objects.items() for mask in masks]
    rows = []
    for kind, setting in KINDS.items():
        rng = np.random.default_rng(zlib.crc32(f"{photograph.name} {kind}".encode()))
        maps = simulated(photograph.objects, setting, rng)
        for name, way in WAYS.items():
            outcome = way(maps, photograph)
            pairs = [(outcome.masks[label], true) for label, true in photograph.truths.items()]
            rows.append(
                Row(
                    photograph.name,
                    kind,
                    name,
                    [iou(mask, true) for mask, true in pairs],
                    [boundary_f(mask, true) for mask, true in pairs],
                    outcome.objects,
                    truth,
                )
            )
    return rows


def figures(rows: Sequence[Row]) -> dict[str, float]:
    """The measures over some rows; those of objects only where there are any."""
    result = {
        "IoU": float(np.mean([value for row in rows for value in row.ious])),
        "outline F": float(np.mean([value for row in rows for value in row.outlines])),
    }
    scores = [one.score for row in rows for one in row.found]
    if scores:
        ious = [value for row in rows for value in true_ious(row.found, row.truth)]
        result["AP50"] = average_precision_50([row.found for row in rows], [row.truth for row in rows])["mean"]
        result["Spearman"] = spearman(scores, ious)
        result["calibration error"] = calibration_error(scores, ious)
    return result


def by_kind(rows: Sequence[Row], way: str, measure: str) -> dict[str, float]:
    return {
        kind: figures([row for row in rows if row.way == way and row.kind == kind]).get(measure, float("nan"))
        for kind in KINDS
    }


def draw_failures(rows: Sequence[Row], todo: Sequence[Photograph], folder: Path, count: int = 12) -> None:
    """Images in which ours is furthest below the best cut, each beside its map: green is right, red is missing, blue is
    too much."""
    folder.mkdir(parents=True, exist_ok=True)
    images = {photograph.name: photograph for photograph in todo}
    means = {(row.name, row.kind, row.way): float(np.mean(row.ious)) for row in rows}
    worst = sorted(
        {(row.name, row.kind) for row in rows if KINDS[row.kind].fault not in NOT_OF_THE_CLASS},
        key=lambda key: means[*key, OURS] - means[*key, BEST],
    )
    for name, kind in worst[:count]:
        photograph = images[name]
        rng = np.random.default_rng(zlib.crc32(f"{name} {kind}".encode()))
        maps = simulated(photograph.objects, KINDS[kind], rng)
        found = WAYS[OURS](maps, photograph).masks
        for label, truth in photograph.truths.items():
            marked = photograph.image.copy()
            for mask, colour in (
                (truth & found[label], (0, 200, 80)),
                (truth & ~found[label], (230, 30, 30)),
                (found[label] & ~truth, (40, 80, 255)),
            ):
                marked[mask] = marked[mask] // 2 + np.array(colour, np.uint8) // 2
            heat = normalised_heatmaps({label: maps[label]}, truth.shape)[label]
            heated = cv2.applyColorMap(np.uint8(heat * 255), cv2.COLORMAP_INFERNO)
            both = np.hstack([heated, cv2.cvtColor(marked, cv2.COLOR_RGB2BGR)])
            cv2.imwrite(str(folder / f"{means[name, kind, OURS]:.2f} {name} {kind} {label}.jpg"), both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--coco", type=Path, metavar="FILE", help="annotations of the images in FOLDER")
    parser.add_argument("--half", choices=("choose", "report", "all"), default="report")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw the worst images there")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every figure there")
    options = parser.parse_args()

    todo = photographs(options.folder, options.coco)
    if options.half != "all":
        todo = todo[options.half == "report" :: 2]
    if not todo:
        parser.error(f"no image below {options.folder} has labelled objects that cover {MIN_SHARE:.0%} of it")
    with ProcessPoolExecutor(options.processes) as pool:
        rows = [row for several in pool.map(rows_of, todo, chunksize=4) for row in several]

    maps = sum(len(photograph.objects) for photograph in todo)
    print(f"{len(todo)} images, {maps} class maps of each kind: mean IoU per class and image\n")
    print(f"| maps | {' | '.join(WAYS)} |\n|---|" + "---|" * len(WAYS))
    columns = {way: by_kind(rows, way, "IoU") for way in WAYS}
    for kind in KINDS:
        print(f"| {kind} | " + " | ".join(f"{columns[way][kind]:.3f}" for way in WAYS) + " |")

    right = [row for row in rows if KINDS[row.kind].fault not in NOT_OF_THE_CLASS]
    report = {way: figures([row for row in right if row.way == way]) for way in WAYS}
    ours = {kind: figures([row for row in rows if row.way == OURS and row.kind == kind]) for kind in KINDS}
    measures = list(report[OURS])
    for title, table in (("all kinds but the wrong maps", report), ("ours", ours)):
        print(f"\n| {title} | {' | '.join(measures)} |\n|---|" + "---|" * len(measures))
        for name, row in table.items():
            cells = (f"{row[measure]:.3f}" if measure in row else "" for measure in measures)
            print(f"| {name} | {' | '.join(cells)} |")
    everything = figures([row for row in rows if row.way == OURS])
    print(f"\nours, wrong maps among the others: calibration error {everything['calibration error']:.3f}")
    if options.pictures:
        draw_failures(rows, todo, options.pictures)
    if options.json:
        options.json.write_text(json.dumps({"IoU": columns, "ways": report, "ours": ours}, indent=2) + "\n")


if __name__ == "__main__":
    main()
