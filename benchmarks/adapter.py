"""How good is a head on the built-in model's features? ``python benchmarks/adapter.py --images 50 200``.

Adapters are trained on N renders with exact labels and rated on 300 others by COCO's average precision of masks at IoU
0.5. A YOLOv8n-seg from random weights on the same images, which ``--yolo`` trains too, sees as many views, with
Ultralytics' own augmentation; its last epoch is rated on the same renders by Ultralytics' figure of the same name.
``--paint`` paints so many images by captions of other renders and asks how the objects found in the features of that
run agree with those of the built-in YOLOv8 (AP50), beside those of a pass afterwards and those of attention.

Adapters are kept in ``--folder`` and not trained again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from quality import Found, average_precision_50
from utility import CAPTION_SEED, PHRASES, REAL_SEED, TEST, TEST_SEED, merged, rate, real_data

from diffucurate.generator.detection.adapter import DetectionAdapter, load_adapter
from diffucurate.generator.detection.files import AdapterFiles
from diffucurate.generator.detection.precision import mean_precision
from diffucurate.generator.detection.settings import AdapterSettings
from diffucurate.generator.detection.training import train_adapter
from diffucurate.generator.detection.views import Lesson
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.labels.settings import AdapterLabelSettings
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.sources.yolov8_source import YoloSource
from diffucurate.generator.tiny.scenes import iter_scenes
from diffucurate.generator.tiny.shapes import CLASSES


def lessons(count: int, seed: int) -> list[Lesson]:
    """Rendered scenes with their exact masks."""
    return [
        Lesson(scene.image, [Instance(each.label, each.mask, 1.0) for each in scene.objects])
        for scene in iter_scenes(count, seed)
    ]


def painted(adapter: DetectionAdapter, count: int) -> None:
    """Print how right labels of painted images are by the built-in YOLOv8."""
    recipe = Recipe.from_mapping(
        {
            "dataset": "painted",
            "classes": PHRASES,
            "captions": [scene.caption for scene in iter_scenes(count, CAPTION_SEED)],
        }
    )
    paintings = list(paint(jobs(recipe), pipe=adapter.reader.pipe, adapter=adapter))
    images = [painting.image for painting in paintings]
    truth = [labels.instances for labels in YoloSource(CLASSES, min_confidence=0.5).label(images)]
    options = AdapterLabelSettings().model_dump()
    ways = {
        "adapter, in the run": [painting.found or [] for painting in paintings],
        "adapter, afterwards": [found for image in images for found in adapter.find([image], **options)],
        "attention, in the run": [
            labels_from_maps(each.heatmaps, each.image, PHRASES, each.job.prompt).instances for each in paintings
        ],
    }
    print(f"\n| {count} painted images | AP50 by YOLOv8 | objects (YOLOv8: {sum(map(len, truth))}) |\n|---|---|---|")
    for way, found in ways.items():
        print(f"| {way} | {mean_precision(found, truth):.3f} | {sum(map(len, found))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/adapter"), help="for adapters and data sets")
    parser.add_argument("--images", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--steps", type=int, default=AdapterSettings().steps)
    parser.add_argument("--noise", type=float, default=AdapterSettings().noise)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--yolo", action="store_true", help="train a YOLOv8n-seg on the same images too")
    parser.add_argument("--paint", type=int, default=0, help="images to paint with each adapter")
    options = parser.parse_args()
    settings = AdapterSettings(steps=options.steps, noise=options.noise, seed=options.seed)
    tested = lessons(TEST, TEST_SEED)
    print("| images | adapter, mask AP50 | YOLOv8n-seg | steps of 8 | minutes |\n|---|---|---|---|---|", flush=True)
    for count in options.images:
        files = AdapterFiles.of(f"{count}-{options.steps}-{options.noise}-{options.seed}", options.folder)
        started = time.monotonic()
        if not files.weights.exists():
            pipe = load_pipeline("tiny", "cpu", torch.float32)
            train_adapter(pipe, lessons(count, REAL_SEED), tested[:16], CLASSES, settings, files, model="tiny")
        minutes = (time.monotonic() - started) / 60
        adapter, found = load_adapter(files.weights, "cpu"), []
        for start in range(0, TEST, 25):
            images = [lesson.image for lesson in tested[start : start + 25]]
            found += adapter.find(images, min_confidence=0.02, max_overlap=0.6)
        ours = [[Found(each.label, each.mask, each.confidence) for each in shown] for shown in found]
        truth = [[Found(each.label, each.mask, 1.0) for each in lesson.instances] for lesson in tested]
        figure = average_precision_50(ours, truth)["mean"]
        yolo = "-"
        if options.yolo:
            folder = options.folder / f"yolo-{count}"
            folder.mkdir(parents=True, exist_ok=True)
            real = folder / "real" if (folder / "real").exists() else real_data(folder, count)
            seen = options.steps * settings.batch_size
            data = merged(folder, "real", [(real, count)], real)
            yolo = f"{rate(data, folder, options.seed, seen, count)['mask_map50']:.3f}"
        print(f"| {count} | {figure:.3f} | {yolo} | {options.steps} | {minutes:.1f} |", flush=True)
        if options.paint:
            painted(adapter, options.paint)


if __name__ == "__main__":
    main()
