"""Trains the built-in YOLOv8n-seg (stage 3 of ``make train-tiny``) on rendered scenes and their exact masks.

It is the supervised label source of the built-in model's images and the reference for their labels; it is trained on
no painted image and no piano.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2

from diffucurate.generator.exports.yolo import YoloRecord, write_yolo
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.segmenters.results import SegmenterFigures
from diffucurate.generator.segmenters.settings import DEFAULT_START, SegmenterSettings
from diffucurate.generator.segmenters.training import fit, pack_checkpoint, validate
from diffucurate.generator.tiny.scenes import Scene, iter_scenes
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.generator.tiny.training import Curve

#: Side of the renders, in pixels, at which the segmenter sees them.
IMAGE_SIZE = 128

#: The seed of each split's scenes. "val" picks the best epoch; figures are measured on "test" alone.
SEEDS = {"train": 20, "val": 21, "test": 22}


def yolo_records(folder: Path, split: str, scenes: Iterable[Scene]) -> Iterator[YoloRecord]:
    """Write the images of scenes to ``folder``; yields their records."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, scene in enumerate(scenes):
        path = folder / f"{split}-{index:05d}.png"
        cv2.imwrite(str(path), cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR))
        instances = tuple(Instance(item.label, item.mask, 1.0) for item in scene.objects)
        yield YoloRecord(path, instances, split)


def write_renders(folder: Path, counts: dict[str, int]) -> Path:
    """Render ``counts`` scenes per split (of ``SEEDS``) as a YOLO dataset; returns its data.yaml."""
    data = folder / "yolo-data"
    if not (data / "data.yaml").exists():
        records = [
            record
            for split, count in counts.items()
            for record in yolo_records(folder / "yolo-images", split, iter_scenes(count, SEEDS[split]))
        ]
        write_yolo(records, data, CLASSES)
    return data / "data.yaml"


def train_yolo(
    folder: Path, target: Path, *, scenes: int = 1_600, epochs: int = 6, device: str = "cpu"
) -> SegmenterFigures:
    """Train from the architecture alone and copy the stripped fp16 checkpoint to ``target``.

    Returns:
        The figures on 200 renders that took no part in training; also written to ``yolo.jsonl``.
    """
    data = write_renders(folder, {"train": scenes, "val": 200, "test": 200})
    figures = fit_yolo(DEFAULT_START, data, folder, target, epochs=epochs, device=device, close_mosaic=2)
    Curve(folder / "yolo.jsonl").add(scenes=scenes, epochs=epochs, **figures.overall())
    return figures


def fit_yolo(
    start: str | Path, data: Path, folder: Path, target: Path, *, epochs: int, device: str, close_mosaic: int
) -> SegmenterFigures:
    """Train from ``start``, an architecture or a checkpoint, and copy the stripped fp16 checkpoint to ``target``.

    Args:
        start: the name of an architecture, whose weights are random, or a checkpoint's path.
        data: the data.yaml of a dataset with the splits "train", "val" and "test".
        folder: for Ultralytics' own files.
        target: the checkpoint to write.
        epochs: number of epochs.
        device: as torch names it.
        close_mosaic: number of last epochs without mosaics.

    Returns:
        The figures on the split "test".
    """
    settings = SegmenterSettings(start=str(start), epochs=epochs, patience=0)
    fit(data, settings, folder / "yolo", image_size=IMAGE_SIZE, device=device, close_mosaic=close_mosaic)
    best = folder / "yolo" / "weights" / "best.pt"
    figures = validate(best, data, image_size=IMAGE_SIZE, device=device)
    pack_checkpoint(best, target)
    return figures
