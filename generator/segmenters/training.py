"""Trains a YOLO segmenter with Ultralytics' own trainer, on a data set in its format, and rates one.

Ultralytics is an optional extra under AGPL-3.0, so it is imported when a training begins and not before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from diffucurate.generator.errors import ModelError
from diffucurate.generator.files.atomic import replacing_file, write_text
from diffucurate.generator.models.load import checked_device, default_device
from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.segmenters.files import SegmenterFiles
from diffucurate.generator.segmenters.results import SegmenterFigures, TrainedSegmenter
from diffucurate.generator.segmenters.settings import SegmenterSettings
from diffucurate.generator.sources.yolov8_checkpoint import check_checkpoint
from diffucurate.generator.sources.yolov8_source import prepare_ultralytics

#: Entries of a checkpoint's own record that hold folders of the machine it was trained on.
_FOLDERS = frozenset({"data", "model", "project", "save_dir", "resume"})


def train_segmenter(
    data: Path,
    settings: SegmenterSettings,
    files: SegmenterFiles,
    *,
    image_size: int,
    device: str | None = None,
    resume: bool = False,
    progress: Listener | None = None,
) -> TrainedSegmenter:
    """Train on the split "train" of a YOLO data set, choose the best epoch on "val", and write the segmenter.

    Args:
        data: its data.yaml (``generator.exports.yolo``).
        settings: of the training.
        files: the files to write.
        image_size: longer side in pixels, a multiple of 32, where the settings leave it open.
        device: as torch names it; by default a GPU where there is one.
        resume: go on after the last whole epoch of a run with the same settings and data that was stopped.
        progress: called after each batch; what it raises stops the run, which then can be resumed.

    Raises:
        ModelError: Ultralytics is not installed, the start is made for something else than segmenting, or training
            failed, such as for want of memory.
        InvalidSetting: an unknown device or architecture.
    """
    size = settings.image_size or image_size
    with _failures_named(settings, size):
        metrics = fit(data, settings, files.run, image_size=size, device=device, resume=resume, progress=progress)
        pack_checkpoint(files.best, files.weights)
    figures = SegmenterFigures.of(metrics)
    epochs = len(next(iter(files.read_curves().values()), []))
    record = {**files.read_facts(), "epochs": epochs, "figures": figures.to_dict()}
    write_text(files.facts, json.dumps(record, indent=2) + "\n")
    return TrainedSegmenter(files, epochs, figures)


def fit(
    data: Path,
    settings: SegmenterSettings,
    run: Path,
    *,
    image_size: int,
    device: str | None = None,
    resume: bool = False,
    close_mosaic: int | None = None,
    choose_epoch: bool = True,
    progress: Listener | None = None,
) -> Any:
    """``train_segmenter``'s training alone: Ultralytics' files go to ``run``; returns its ``SegmentMetrics``.

    ``close_mosaic`` is the number of last epochs without mosaics, a tenth by default. Without ``choose_epoch`` the last
    epoch counts, and none before it is rated.
    """
    device = checked_device(device or default_device()[0])
    prepare_ultralytics()
    from ultralytics import YOLO

    last = run / "weights" / "last.pt"
    begun = resume and last.is_file()
    if begun and _ended(last, settings.epochs):
        return _metrics(run / "weights" / "best.pt", data, "val", image_size, device)
    from_weights = settings.start.endswith(".pt")
    start = str(last) if begun else str(Path(settings.start).expanduser()) if from_weights else f"{settings.start}.yaml"
    model = YOLO(start)
    if model.task != "segment":
        raise ModelError(f"'{settings.start}' is made to {model.task}; name one made to segment, such as yolov8n-seg")
    _report(model, progress, settings.batch_size)
    with _quiet(), _threads_kept(model):
        return model.train(
            data=str(data),
            imgsz=image_size,
            epochs=settings.epochs,
            patience=settings.patience or settings.epochs,
            batch=settings.batch_size,
            device=device,
            # Ultralytics tests mixed precision with a model that it downloads, also where it was told not to.
            amp=False,
            workers=_workers(device),
            project=str(run.parent),
            name=run.name,
            exist_ok=True,
            plots=False,
            verbose=False,
            val=choose_epoch,
            pretrained=from_weights and not begun,
            resume=begun,
            close_mosaic=max(1, settings.epochs // 10) if close_mosaic is None else close_mosaic,
            mosaic=settings.mosaic,
            seed=settings.seed,
            **({} if settings.learning_rate is None else _fixed_rate(settings.learning_rate)),
        )


def validate(
    checkpoint: Path, data: Path, *, split: str = "test", image_size: int = 640, device: str = "cpu"
) -> SegmenterFigures:
    """The figures of a segmentation checkpoint, which is trusted, on a split of a YOLO data set."""
    return SegmenterFigures.of(_metrics(checkpoint, data, split, image_size, device))


def _metrics(checkpoint: Path, data: Path, split: str, image_size: int, device: str) -> Any:
    prepare_ultralytics()
    from ultralytics import YOLO

    threads = torch.get_num_threads()
    try:
        with _quiet():
            return YOLO(checkpoint).val(
                data=str(data),
                split=split,
                imgsz=image_size,
                batch=16,
                device=device,
                workers=_workers(device),
                plots=False,
                verbose=False,
                project=str(data.parent),
                name=split,
                exist_ok=True,
            )
    finally:
        torch.set_num_threads(threads)


def pack_checkpoint(trained: Path, target: Path) -> None:
    """Copy a checkpoint that this process wrote, without the folders of the machine it was trained on."""
    checkpoint = torch.load(trained, map_location="cpu", weights_only=False)
    for arguments in (checkpoint["train_args"], checkpoint["model"].args):
        for name in _FOLDERS & set(arguments):
            arguments[name] = target.stem
    if hasattr(checkpoint["model"], "pt_path"):  # where training began with a checkpoint
        checkpoint["model"].pt_path = target.stem
    with replacing_file(target) as temporary:
        torch.save(checkpoint, temporary)


def _ended(last: Path, epochs: int) -> bool:
    """Whether a run had seen its last epoch when it was stopped, so that nothing is left but to pack the best one."""
    check_checkpoint(last)
    epoch = int(torch.load(last, map_location="cpu", weights_only=False)["epoch"])  # -1 once it was stripped
    return not 0 <= epoch < epochs - 1


def _workers(device: str) -> int:
    """Processes that read images; on a CPU they would take cores from the training."""
    return 0 if device == "cpu" else 4


def _fixed_rate(rate: float) -> dict[str, Any]:
    """Ultralytics' arguments for a rate of one's own; by its own default biases begin at 0.1, which undoes what a
    checkpoint knows."""
    return {"optimizer": "AdamW", "lr0": rate, "warmup_bias_lr": 0.0}


def _report(model: Any, progress: Listener | None, batch_size: int) -> None:
    """Have the model's trainer report each batch, with the figures of an epoch at its end."""
    meters: list[Meter] = []

    def begin(trainer: Any) -> None:
        batches = len(trainer.train_loader)
        total, done = trainer.epochs * batches, trainer.start_epoch * batches
        meters[:] = [Meter(progress, total, done=done, images_each=batch_size)]

    def advance(trainer: Any) -> None:
        meters[0].advance()

    def tell(trainer: Any) -> None:
        figure = trainer.metrics.get("metrics/mAP50(M)", math.nan)
        if meters and trainer.epoch < trainer.epochs:  # once more after the last one
            note = f"epoch {trainer.epoch + 1} of {trainer.epochs}: mask AP50 {figure:.3f}"
            meters[0].reach((trainer.epoch + 1) * len(trainer.train_loader), note)

    model.add_callback("on_train_start", begin)
    model.add_callback("on_train_batch_end", advance)
    model.add_callback("on_fit_epoch_end", tell)


@contextmanager
def _threads_kept(model: Any) -> Iterator[None]:
    """Ultralytics drops to one thread on small machines when it starts to train, for the rest of the process."""
    threads = torch.get_num_threads()
    model.add_callback("on_train_start", lambda trainer: torch.set_num_threads(threads))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _quiet() -> Iterator[None]:
    """Only warnings from Ultralytics meanwhile; progress is ours."""
    import logging

    from ultralytics.utils import LOGGER

    level = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(level)


@contextmanager
def _failures_named(settings: SegmenterSettings, size: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the device has too little memory to train at batch_size {settings.batch_size} and image_size {size}; "
            "lower one of them"
        ) from error
