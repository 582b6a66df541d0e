"""Trains the built-in YOLOv8n-seg (stage 3 of ``make train-tiny``) on rendered scenes and their exact masks.

It is the supervised label source of the built-in model's images and the reference for their labels; it is trained on
no painted image and no piano.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import torch

from diffucurate.generator.exports.yolo import YoloRecord, write_yolo
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.sources.yolov8_source import prepare_ultralytics
from diffucurate.generator.tiny.scenes import Scene, iter_scenes
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.generator.tiny.training import Curve

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


def validate_yolo(checkpoint: Path, data: Path, *, device: str = "cpu") -> dict[str, float]:
    """Ultralytics' own mAP50 and mAP50-95 of boxes and masks on the split "test" of ``data``, in [0, 1]."""
    prepare_ultralytics()
    from ultralytics import YOLO

    metrics = YOLO(checkpoint).val(
        data=str(data),
        split="test",
        imgsz=128,
        batch=16,
        device=device,
        workers=0,
        plots=False,
        verbose=False,
        project=str(data.parent),
        name="test",
        exist_ok=True,
    )
    return {
        "box_map50": float(metrics.box.map50),
        "box_map": float(metrics.box.map),
        "mask_map50": float(metrics.seg.map50),
        "mask_map": float(metrics.seg.map),
    }


def train_yolo(
    folder: Path, target: Path, *, scenes: int = 1_600, epochs: int = 6, device: str = "cpu"
) -> dict[str, float]:
    """Train from the architecture alone and copy the stripped fp16 checkpoint to ``target``.

    Returns:
        The figures of ``validate_yolo`` on 200 renders that took no part in training; also written to ``yolo.jsonl``.
    """
    data = write_renders(folder, {"train": scenes, "val": 200, "test": 200})
    figures = fit_yolo("yolov8n-seg.yaml", data, folder, target, epochs=epochs, device=device, close_mosaic=2)
    Curve(folder / "yolo.jsonl").add(scenes=scenes, epochs=epochs, **figures)
    return figures


def fit_yolo(
    start: str | Path, data: Path, folder: Path, target: Path, *, epochs: int, device: str, close_mosaic: int
) -> dict[str, float]:
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
        The figures of ``validate_yolo``.
    """
    prepare_ultralytics()
    from ultralytics import YOLO

    threads = torch.get_num_threads()
    model = YOLO(start)
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
        pretrained=Path(start).suffix == ".pt",
        cache="ram",
        close_mosaic=close_mosaic,
        seed=0,
    )
    best = folder / "yolo" / "weights" / "best.pt"
    figures = validate_yolo(best, data, device=device)
    pack_checkpoint(best, target)
    return figures


def pack_checkpoint(trained: Path, target: Path) -> None:
    """Copy our own checkpoint without the folders of the machine it was trained on."""
    checkpoint = torch.load(trained, map_location="cpu", weights_only=False)  # a pickle that this process wrote
    for arguments in (checkpoint["train_args"], checkpoint["model"].args):
        for name in {"data", "model", "project", "save_dir"} & set(arguments):
            arguments[name] = "tiny"
    if hasattr(checkpoint["model"], "pt_path"):  # where training began with a checkpoint
        checkpoint["model"].pt_path = "tiny"
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, target)
