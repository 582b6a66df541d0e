"""What the built-in models can do: ``python benchmarks/tiny_model.py``.

Prints a table: how often the segmenter, trained on rendered scenes only, finds the prompted class in images
that the diffusion model painted; seconds per image; the autoencoder's PSNR; the segmenter's mask mAP50 on
renders it never saw; sizes on disk. With ``--grid PATH`` also a picture of what was painted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from diffucurate.generator import tiny
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.segmenters.training import validate
from diffucurate.generator.sources.yolov8_source import YoloSource
from diffucurate.generator.tiny.shapes import CLASSES, COLOURS
from diffucurate.generator.tiny.train_autoencoder import HELD_OUT_SEED, image_batch, psnr
from diffucurate.generator.tiny.train_yolo import IMAGE_SIZE, write_renders
from diffucurate.generator.tiny.words import PLACES, TIMES


def recipe(count: int, guidance: float, steps: int, model: str = "tiny") -> Recipe:
    """``count`` prompts of one object each, balanced over classes, colours, places and times."""
    return Recipe.from_mapping(
        {
            "dataset": "tiny-model",
            "model": model,
            "size": [128, 128],
            "steps": steps,
            "guidance": guidance,
            "classes": {name: [name] for name in CLASSES},
            "templates": ["a photo of a {colour} {object} on a {place} at {time}"],
            "attributes": {
                "object": list(CLASSES),
                "colour": list(COLOURS),
                "place": list(PLACES),
                "time": list(TIMES),
            },
            "sample": {"count": count, "seed": 1},
        }
    )


def renders() -> dict[str, float]:
    """How right the segmenter is on 200 renders that no training drew."""
    with tempfile.TemporaryDirectory() as folder:
        figures = validate(tiny.yolo_path(), write_renders(Path(folder), {"test": 200}), image_size=IMAGE_SIZE)
    return {f"yolo_{name}": value for name, value in figures.overall().items()}


def megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--model", default="tiny", help="the diffusion model (default: the built-in one)")
    parser.add_argument("--min-confidence", type=float, default=0.25, help="of the segmenter's detections")
    parser.add_argument("--grid", type=Path, help="write the first 64 images here as one PNG")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    pipe = load_pipeline(arguments.model)
    paintings = list(
        paint(jobs(recipe(arguments.images, arguments.guidance, arguments.steps)), pipe=pipe, batch_size=8)
    )
    segmenter = YoloSource(CLASSES, min_confidence=arguments.min_confidence)
    found: dict[str, list[bool]] = defaultdict(list)
    for painting, labels in zip(paintings, segmenter.label([p.image for p in paintings]), strict=True):
        label = painting.job.attributes["object"]
        found[label].append(any(instance.label == label for instance in labels.instances))
    figures = {
        "images": len(paintings),
        "found": float(np.mean([hit for hits in found.values() for hit in hits])),
        **{f"found_{label}": float(np.mean(found[label])) for label in CLASSES if found[label]},
        "seconds_per_image": statistics.median(painting.seconds for painting in paintings),
        "autoencoder_psnr_db": psnr(pipe.vae, image_batch(HELD_OUT_SEED, 48).to(pipe.device, pipe.vae.dtype)),
        **renders(),
        "pipeline_mb": megabytes(tiny.pipeline_folder()),
        "yolo_mb": megabytes(tiny.yolo_path()),
    }
    print("| figure | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.3g} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))
    if arguments.grid:
        rows = [
            np.hstack([p.image for p in paintings[start : start + 8]])
            for start in range(0, min(64, len(paintings)) // 8 * 8, 8)
        ]
        cv2.imwrite(str(arguments.grid), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
