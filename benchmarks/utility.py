"""What is a painted, labelled and curated set worth for training? ``python benchmarks/utility.py --images 200``.

A YOLOv8n-seg is trained from random weights on N images and rated on real renders that nothing else has seen, by
Ultralytics' mask AP at IoU 0.5 (mAP50) and over 0.5 to 0.95. Each row trains equally long, the last epoch
counts, and the figure is the mean over ``--seeds`` (and half the spread between the extremes):

- real: N renders with exact labels;
- painted: N images by the built-in model from captions of other renders, labelled by attention, as they come;
- curated: the N of 2N painted images whose labels agree best with the built-in YOLOv8, labelled by attention;
- fused: the same images, labels of attention and YOLOv8 fused;
- half and half: N/2 of "real" and the better N/2 of "fused".

And where the loss comes from: "real, by attention" has real images and attention's labels, "painted, by yolov8" painted
images and the labels of a segmenter that was trained on 1,600 exact renders.

The built-in YOLOv8, which curates and fuses, has seen exact labels; what it adds is not for free. Everything goes
through the library's verbs: generate, label, compare, curate, fuse, export. Rows that ``--folder`` has are not trained
again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2

from diffucurate.generator.segmenters.results import SegmenterFigures
from diffucurate.generator.segmenters.settings import SegmenterSettings
from diffucurate.generator.segmenters.training import fit
from diffucurate.generator.tiny.scenes import Scene, iter_scenes
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.generator.tiny.train_yolo import IMAGE_SIZE, yolo_records
from diffucurate.generator.tiny.words import SYNONYMS

#: Seeds of scenes, which no training or other measurement draws: those learned from, those whose captions are painted,
#: and those that figures are of.
REAL_SEED, CAPTION_SEED, TEST_SEED = 701, 702, 704
TEST = 300
PHRASES = {name: [name, *([SYNONYMS[name]] if name in SYNONYMS else [])] for name in CLASSES}
ROWS = ("real", "painted", "curated", "fused", "half and half", "real, by attention", "painted, by yolov8")


def real_data(folder: Path, count: int) -> Path:
    """Exact renders for training, and those that figures are of, as a YOLO data set."""
    from diffucurate.generator.exports.yolo import write_yolo

    def records() -> Iterator[Any]:
        for split, size, seed in (
            ("train", count, REAL_SEED),
            ("test", TEST, TEST_SEED),
        ):
            yield from yolo_records(folder / "images", split, iter_scenes(size, seed))

    write_yolo(records(), folder / "real", CLASSES, overwrite=True)
    return folder / "real"


def painted_data(folder: Path, count: int) -> dict[str, Path]:
    """Row -> the exported YOLO data set of painted images, all in a split "train"."""
    import diffucurate as dc

    name = f"utility-{count}"  # where a stopped run has left it, the painting goes on
    recipe = dc.Recipe.from_mapping(
        {
            "dataset": name,
            "model": "tiny",
            "size": [128, 128],
            "classes": PHRASES,
            "captions": [scene.caption for scene in iter_scenes(2 * count, CAPTION_SEED)],
        }
    )
    dataset = dc.generate(recipe)
    dc.label(dataset, source="yolov8")
    dc.compare(dataset, "attention", "yolov8")
    field = "agreement_attention_yolov8"
    scores = sorted(dataset.values(field), reverse=True)
    views = {
        "painted": (dataset.limit(count), "attention"),
        "painted, by yolov8": (dataset.limit(count), "yolov8"),
        "curated": (_curated(dataset, scores[count - 1], count), "attention"),
    }
    dc.fuse(dataset, ["attention", "yolov8"])
    views["fused"] = (views["curated"][0], "fused")
    views["half"] = (_curated(dataset, scores[count // 2 - 1], count // 2), "fused")
    folders = {}
    for row, (view, source) in views.items():
        folders[row] = folder / row.replace(", ", "-").replace(" ", "-")
        dc.export(view, folders[row], format="yolo", source=source, classes=list(CLASSES), overwrite=True)
    dataset.delete()
    return folders


def _curated(dataset: Any, least: float, count: int) -> Any:
    import diffucurate as dc

    return dc.curate(dataset, source="attention", against="yolov8", min_agreement=least).limit(count)


def labelled_renders(folder: Path, count: int) -> Path:
    """The real images with attention's labels, by the captions of the scenes, as a YOLO data set."""
    from diffucurate.generator.exports.yolo import YoloRecord, write_yolo
    from diffucurate.generator.sources.attention_source import AttentionSource

    scenes: Sequence[Scene] = list(iter_scenes(count, REAL_SEED))
    source = AttentionSource(PHRASES, contrast=False)
    labels = source.label([scene.image for scene in scenes], [scene.caption for scene in scenes])
    target = folder / "attention-images"
    target.mkdir(parents=True, exist_ok=True)
    records = []
    for index, (scene, each) in enumerate(zip(scenes, labels, strict=True)):
        path = target / f"{index:05d}.png"
        cv2.imwrite(str(path), cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR))
        records.append(YoloRecord(path, each.instances, "train"))
    write_yolo(records, folder / "real-by-attention", CLASSES, overwrite=True)
    return folder / "real-by-attention"


def merged(folder: Path, name: str, parts: Sequence[tuple[Path, int]], real: Path) -> Path:
    """A data.yaml whose training images are the first of each part, rated on the real renders."""
    target = folder / "sets" / name.replace(", ", "-").replace(" ", "-")
    shutil.rmtree(target, ignore_errors=True)
    for number, (part, count) in enumerate(parts):
        images = sorted((part / "images" / "train").iterdir())[:count]
        for image in images:
            label = part / "labels" / "train" / f"{image.stem}.txt"
            for source, kind in ((image, "images"), (label, "labels")):
                copy = target / kind / "train" / f"{number}-{source.name}"
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
    content = {
        "train": str((target / "images" / "train").resolve()),
        **dict.fromkeys(("val", "test"), str((real / "images" / "test").resolve())),
        "names": dict(enumerate(CLASSES)),
    }
    (target / "data.yaml").write_text(json.dumps(content))  # JSON is YAML
    return target / "data.yaml"


def rate(data: Path, folder: Path, seed: int, seen: int, count: int) -> dict[str, float]:
    """The figures on the test renders after about ``seen`` training images."""
    settings = SegmenterSettings(epochs=max(2, round(seen / count)), patience=0, seed=seed)
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    metrics = fit(data, settings, run, image_size=IMAGE_SIZE, device="cpu", choose_epoch=False)
    shutil.rmtree(run)
    return SegmenterFigures.of(metrics).overall()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/utility"), help="for data sets and results")
    parser.add_argument("--images", type=int, default=200, help="N")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seen", type=int, default=12_000, help="training images that each row sees, with repetitions")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=ROWS)
    options = parser.parse_args()
    count, folder = options.images, options.folder / str(options.images)
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.jsonl"
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []

    real = folder / "real" if (folder / "real").exists() else real_data(folder, count)
    paths = {row: folder / row.replace(", ", "-").replace(" ", "-") for row in ("painted", "curated", "fused", "half")}
    paths["painted, by yolov8"] = folder / "painted-by-yolov8"
    if not all(path.exists() for path in paths.values()):
        paths = painted_data(folder, count)
    by_attention = folder / "real-by-attention"
    if not by_attention.exists():
        labelled_renders(folder, count)
    sets = {
        "real": [(real, count)],
        **{row: [(paths[row], count)] for row in ("painted", "curated", "fused", "painted, by yolov8")},
        "half and half": [(real, count // 2), (paths["half"], count // 2)],
        "real, by attention": [(by_attention, count)],
    }
    for seed in range(options.seeds):
        for row in options.rows:
            key = {"row": row, "seed": seed, "seen": options.seen}
            if not any(key.items() <= each.items() for each in done):
                figures = rate(merged(folder, row, sets[row], real), folder, seed, options.seen, count)
                done.append({**key, **figures})
                with results.open("a") as file:
                    file.write(json.dumps(done[-1]) + "\n")
                print(json.dumps(done[-1]), flush=True)
    print(f"| {count} images | mask mAP50 | mask mAP50-95 | box mAP50 | seeds |\n|---|---|---|---|---|")
    for row in options.rows:
        of_row = [each for each in done if each["row"] == row and each["seen"] == options.seen]
        cells = []
        for figure in ("mask_map50", "mask_map", "box_map50"):
            values = [each[figure] for each in of_row]
            cells.append(f"{statistics.mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}")
        print(f"| {row} | " + " | ".join(cells) + f" | {len(of_row)} |")


if __name__ == "__main__":
    main()
