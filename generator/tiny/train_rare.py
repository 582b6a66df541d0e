"""Trains the weights of the demo of a rare class: ``python -m diffucurate.generator.tiny.train_rare``.

A YOLOv8n-seg that has the class piano too, which measures the word that is learned for it: training begins with the
built-in one, on renders of all classes in which every third object is a piano, and uses no painted image. And the word
itself, learned from 20 rendered pianos (``tiny.rare``).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from diffucurate.generator.exports.yolo import YoloRecord, write_yolo
from diffucurate.generator.inversion.examples import Example
from diffucurate.generator.inversion.files import WordFiles
from diffucurate.generator.inversion.settings import Inversion
from diffucurate.generator.inversion.training import TrainResult, learn_word
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.progress import Progress
from diffucurate.generator.segmenters.results import SegmenterFigures
from diffucurate.generator.tiny import rare_yolo_path, yolo_path
from diffucurate.generator.tiny.rare import EXAMPLES, FIRST_SEED, PLACEHOLDER, SETTINGS, learned_piano, rare_caption
from diffucurate.generator.tiny.scenes import render_scene
from diffucurate.generator.tiny.shapes import CLASSES, RARE_CLASSES
from diffucurate.generator.tiny.train_yolo import fit_yolo, yolo_records

#: The first seed of each split's scenes, which no other training or measurement uses.
SEEDS = {"train": 61_000_000, "val": 62_000_000, "test": 63_000_000}

#: The classes to draw from: each of eight once, pianos four times.
_DRAWN = (*CLASSES, *RARE_CLASSES * 4)


def write_rare_renders(folder: Path, counts: dict[str, int]) -> Path:
    """Render ``counts`` scenes per split (of ``SEEDS``) as a YOLO dataset; returns its data.yaml."""
    records = [record for split, count in counts.items() for record in _records(folder / "images", split, count)]
    write_yolo(records, folder / "data", (*CLASSES, *RARE_CLASSES))
    return folder / "data" / "data.yaml"


def _records(folder: Path, split: str, count: int) -> Iterator[YoloRecord]:
    scenes = (render_scene(SEEDS[split] + index, classes=_DRAWN) for index in range(count))
    return yolo_records(folder, split, scenes)


def train_rare_yolo(
    folder: Path, target: Path, *, scenes: int = 1_000, epochs: int = 4, device: str = "cpu"
) -> SegmenterFigures:
    """Train in ``folder`` and copy the stripped fp16 checkpoint to ``target``.

    Returns:
        The figures on 200 renders that took no part in training.
    """
    data = write_rare_renders(folder, {"train": scenes, "val": 100, "test": 200})
    return fit_yolo(yolo_path(), data, folder, target, epochs=epochs, device=device, close_mosaic=1)


def learn_piano(folder: Path) -> TrainResult:
    """Learn the word from rendered pianos and their captions."""
    scenes = [render_scene(FIRST_SEED + index, labels=["piano"]) for index in range(EXAMPLES)]
    examples = [Example(scene.image, None, rare_caption(scene.caption)) for scene in scenes]
    settings = Inversion(placeholder=PLACEHOLDER, **SETTINGS)
    pipe = load_pipeline("tiny", "cpu", torch.float32)
    return learn_word(pipe, examples, settings, WordFiles.of("piano", folder), progress=_print_progress)


def pack_piano(learned: TrainResult) -> None:
    """Copy the word into the package, in half precision."""
    for source, target in zip((learned.path, learned.lora), learned_piano(), strict=True):
        if source is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.half() for name, tensor in load_file(source).items()}, target)


def _print_progress(report: Progress) -> None:
    if report.done % 20 == 0:
        print(f"{report.done} of {report.total} steps, {report.seconds_left:.0f} s left", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the segmenter that knows pianos, and the word for one.")
    parser.add_argument("--only", choices=("segmenter", "word"), help="train but this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "word":
            figures = train_rare_yolo(Path(folder), rare_yolo_path())
            print(", ".join(f"{name} {value:.3f}" for name, value in figures.overall().items()))
        if options.only != "segmenter":
            pack_piano(learn_piano(Path(folder)))


if __name__ == "__main__":
    main()
