"""What is augmentation worth for training? ``python benchmarks/augment.py --images 50``.

N renders with exact labels are the real set. ``dc.augment`` paints variants of them with the built-in model, and a
YOLOv8n-seg is trained from random weights on:

- real, one round: the N images;
- real: the N images as often as there are rounds below, so that epochs are as long;
- image: in each round an image is replaced, with probability 0.5, by one of its variants, painted whole;
- objects, background: the same with variants of which that part alone is painted;
- image, confirmed: variants of whole images whose labels attention finds again (agreement of 0.5 and more).

It also prints how many carried labels attention finds again by strength, and how many of these the built-in YOLOv8
sees, which knows nothing of either.

A round is one draw by ``dc.export(augmented=0.5, seed=...)``; all rounds together are trained on, and all
rows see equally many images. The last epoch counts, on renders that nothing else has seen, by
Ultralytics' mask AP at IoU 0.5 and over 0.5 to 0.95. Ultralytics' own augmentation (mosaics, flips, colours) is on in
all rows. What ``--folder`` has is not done again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from utility import merged, rate, real_data

from diffucurate.generator.tiny.scenes import iter_scenes
from diffucurate.generator.tiny.shapes import CLASSES

#: Seeds of the renders: those of ``utility.real_data``, which are learned from.
REAL_SEED = 701
ROWS = ("real, one round", "real", "image", "objects", "background", "image, confirmed")


def augmented_data(folder: Path, count: int, variants: int, part: str, least: float | None, rounds: int) -> list[Path]:
    """YOLO data sets, one for each round, of the renders with some of them replaced by variants."""
    import fiftyone as fo
    from PIL import Image

    import diffucurate as dc

    name = f"augment-{count}"
    dataset = fo.load_dataset(name) if fo.dataset_exists(name) else fo.Dataset(name, persistent=True)
    if not len(dataset):
        images = folder / "renders"
        images.mkdir(parents=True, exist_ok=True)
        samples = []
        for index, scene in enumerate(iter_scenes(count, REAL_SEED)):
            path = images / f"{index:05d}.png"
            Image.fromarray(scene.image).save(path)
            labels = [fo.Detection.from_mask(each.mask, label=each.label) for each in scene.objects]
            samples.append(fo.Sample(str(path), truth=fo.Detections(detections=labels)))
        dataset.add_samples(samples, progress=False)
    classes = {label: [label] for label in CLASSES}  # in the order of the ids of the renders
    painted = dc.augment(dataset, "truth", variants=variants, part=part, classes=classes, model="tiny")
    field = "agreement_truth_attention"
    confirmed = painted if least is None else painted.match(fo.ViewField(field) >= least)
    witnessed(painted, part)
    real = dataset.match_tags("augmented", bool=False).values("id")
    view = dataset.select([*real, *confirmed.values("id")])
    folders = []
    for number in range(rounds):
        folders.append(folder / "rounds" / f"{part}-{least}-{number}")
        dc.export(
            view, folders[-1], format="yolo", source="truth", classes=list(CLASSES), augmented=0.5, seed=number,
            overwrite=True,
        )  # fmt: skip
    return folders


def witnessed(painted: Any, part: str) -> None:
    """Print by strength how many carried labels attention finds again, and how right it is by the built-in YOLOv8."""
    import diffucurate as dc

    if not painted.exists("agreement_truth_yolov8"):
        dc.label(painted, source="yolov8")
        dc.compare(painted, "truth", "yolov8")
    paths = ["source.strength", *(f"truth.detections.iou_with_{name}" for name in ("attention", "yolov8"))]
    print(f"| {part}, strength | labels | attention | YOLOv8 | YOLOv8, of the confirmed | of the others |")
    print("|---|---|---|---|---|---|")
    rows = [
        (strength, (iou or 0) >= 0.5, (witness or 0) >= 0.5)
        for strength, *both in zip(*painted.values(paths), strict=True)
        for iou, witness in zip(*both, strict=True)
    ]
    for chosen in (*sorted({strength for strength, _, _ in rows}), None):
        own = [(found, seen) for strength, found, seen in rows if chosen in (None, strength)]
        shares = [statistics.mean(column) for column in zip(*own, strict=True)]
        split = [[seen for found, seen in own if found is wanted] for wanted in (True, False)]
        shares += [statistics.mean(each) if each else float("nan") for each in split]
        print(
            f"| {chosen or 'all'} | {len(own)} | " + " | ".join(f"{share:.2f}" for share in shares) + " |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/augment"), help="for data sets and results")
    parser.add_argument("--images", type=int, default=50, help="N")
    parser.add_argument("--variants", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seen", type=int, default=12_000, help="training images that each row sees, with repetitions")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=ROWS)
    options = parser.parse_args()
    count, folder = options.images, options.folder / str(options.images)
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.jsonl"
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    real = folder / "real" if (folder / "real").exists() else real_data(folder, count)
    settings = {"seen": options.seen, "variants": options.variants, "rounds": options.rounds}
    for seed in range(options.seeds):
        for row in options.rows:
            key = {"row": row, "seed": seed, **settings}
            if any(key.items() <= each.items() for each in done):
                continue
            parts = [(real, count)] * (1 if row == "real, one round" else options.rounds)
            if not row.startswith("real"):
                part, least = row.split(", ")[0], 0.5 if "confirmed" in row else None
                rounds = augmented_data(folder, count, options.variants, part, least, options.rounds)
                parts = [(each, count) for each in rounds]
            images = count * len(parts)
            figures = rate(merged(folder, row, parts, real), folder, seed, options.seen, images)
            done.append({**key, **figures})
            with results.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
            print(json.dumps(done[-1]), flush=True)
    show(options.rows, done, settings, count)


def show(rows: Sequence[str], done: Sequence[dict[str, Any]], settings: dict[str, int], count: int) -> None:
    """Print the table of what was measured with these settings."""
    print(f"| {count} images | mask mAP50 | mask mAP50-95 | box mAP50 | seeds |\n|---|---|---|---|---|")
    for row in rows:
        of_row = [each for each in done if each["row"] == row and settings.items() <= each.items()]
        cells = []
        for figure in ("mask_map50", "mask_map", "box_map50"):
            values = [each[figure] for each in of_row]
            cells.append(f"{statistics.mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}")
        print(f"| {row} | " + " | ".join(cells) + f" | {len(of_row)} |")


if __name__ == "__main__":
    main()
