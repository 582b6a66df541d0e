"""Trains what the demo of a rare thing ships with: ``python -m diffucurate.generator.tiny.train_rare``.

A YOLOv8n-seg that knows pianos too, the judge of words learned for them: it goes on from the built-in one, on renders
of all classes in which every third thing is a piano, and like that one never sees a painted image. And the word itself,
learned from 20 rendered pianos (``tiny.rare``).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from safetensors.torch import load_file, save_file

from diffucurate.generator.exports.yolo import YoloRecord, write_yolo
from diffucurate.generator.inversion.examples import Example
from diffucurate.generator.inversion.files import WordFiles
from diffucurate.generator.inversion.settings import Inversion
from diffucurate.generator.inversion.training import TrainResult, learn_word
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.progress import Progress
from diffucurate.generator.sources.yolov8_source import prepare_ultralytics
from diffucurate.generator.tiny import rare_yolo_path, yolo_path
from diffucurate.generator.tiny.rare import EXAMPLES, FIRST_SEED, PLACEHOLDER, SETTINGS, learned_piano, rare_caption
from diffucurate.generator.tiny.scenes import render_scene
from diffucurate.generator.tiny.shapes import CLASSES, RARE_CLASSES
from diffucurate.generator.tiny.train_yolo import pack_checkpoint, validate_yolo

#: Where each split's scenes come from: other ones than those of any other training or measurement.
SEEDS = {"train": 61_000_000, "val": 62_000_000, "test": 63_000_000}

#: What is drawn: eight classes once, pianos four times.
_DRAWN = (*CLASSES, *RARE_CLASSES * 4)


def write_rare_renders(folder: Path, counts: dict[str, int]) -> Path:
    """Render ``counts`` scenes per split (of ``SEEDS``) as a YOLO dataset; returns its data.yaml."""
    records = [record for split, count in counts.items() for record in _records(folder / "images", split, count)]
    write_yolo(records, folder / "data", (*CLASSES, *RARE_CLASSES))
    return folder / "data" / "data.yaml"


def _records(folder: Path, split: str, count: int) -> Iterator[YoloRecord]:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        scene = render_scene(SEEDS[split] + index, classes=_DRAWN)
        path = folder / f"{split}-{index:05d}.png"
        cv2.imwrite(str(path), cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR))
        instances = tuple(Instance(item.label, item.mask, 1.0) for item in scene.objects)
        yield YoloRecord(path, instances, split)


def train_rare_yolo(
    folder: Path, target: Path, *, scenes: int = 1_000, epochs: int = 4, device: str = "cpu"
) -> dict[str, float]:
    """Train in ``folder`` and copy the stripped fp16 checkpoint to ``target``.

    Returns:
        What ``validate_yolo`` says of 200 renders that took no part in training.
    """
    prepare_ultralytics()
    from ultralytics import YOLO

    data = write_rare_renders(folder, {"train": scenes, "val": 100, "test": 200})
    threads = torch.get_num_threads()
    model = YOLO(yolo_path())
    # ultralytics drops to one thread on small machines when it starts to train.
    model.add_callback("on_train_start", lambda trainer: torch.set_num_threads(threads))
    model.train(
        data=str(data),
        imgsz=128,
        epochs=epochs,
        batch=16,
        device=device,
        amp=False,
        workers=0,
        project=str(folder),
        name="yolo",
        exist_ok=True,
        plots=False,
        verbose=False,
        cache="ram",
        close_mosaic=1,
        seed=0,
    )
    best = folder / "yolo" / "weights" / "best.pt"
    figures = validate_yolo(best, data, device=device)
    pack_checkpoint(best, target)
    return figures


def learn_piano(folder: Path) -> TrainResult:
    """Learn the word from rendered pianos and their captions."""
    scenes = [render_scene(FIRST_SEED + index, labels=["piano"]) for index in range(EXAMPLES)]
    examples = [Example(scene.image, None, rare_caption(scene.caption)) for scene in scenes]
    settings = Inversion(placeholder=PLACEHOLDER, **SETTINGS)
    pipe = load_pipeline("tiny", "cpu", torch.float32)
    return learn_word(pipe, examples, settings, WordFiles.of("piano", folder), progress=_tell)


def pack_piano(learned: TrainResult) -> None:
    """Copy the word to where it ships, in half precision."""
    for source, target in zip((learned.path, learned.lora), learned_piano(), strict=True):
        if source is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.half() for name, tensor in load_file(source).items()}, target)


def _tell(report: Progress) -> None:
    if report.done % 20 == 0:
        print(f"{report.done} of {report.total} steps, {report.seconds_left:.0f} s left", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the segmenter that knows pianos, and the word for one.")
    parser.add_argument("--only", choices=("segmenter", "word"), help="train but this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "word":
            figures = train_rare_yolo(Path(folder), rare_yolo_path())
            print(", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        if options.only != "segmenter":
            pack_piano(learn_piano(Path(folder)))


if __name__ == "__main__":
    main()
