"""Trains a head on a frozen model's features: lessons and settings become an adapter on disk.

Each step reads the features of other views of some images, so nothing has to be kept of them. All random numbers of
step k follow from the seed and k; a run that is stopped, also by an error in the ``progress`` callback, goes on from
its checkpoint to the same head.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffucurate.generator.detection.adapter import DetectionAdapter
from diffucurate.generator.detection.checkpoints import load_checkpoint, read_about, save_checkpoint
from diffucurate.generator.detection.features import FeatureReader
from diffucurate.generator.detection.files import AdapterFiles
from diffucurate.generator.detection.head import DetectionHead
from diffucurate.generator.detection.precision import average_precision_50
from diffucurate.generator.detection.results import TrainedAdapter
from diffucurate.generator.detection.settings import AdapterSettings
from diffucurate.generator.detection.targets import losses
from diffucurate.generator.detection.views import Lesson, truth_of, view_of
from diffucurate.generator.errors import ImageError, ModelError
from diffucurate.generator.files.atomic import replacing_file, write_text
from diffucurate.generator.models.card import out_of_memory
from diffucurate.generator.progress import Listener, Meter

#: How much each loss counts.
_WEIGHTS = {"class": 1.0, "box": 2.0, "central": 0.5, "mask": 2.0}
#: Steps between two checkpoints, and between two rows of the curves.
_CHECKPOINT, _ROW = 100, 10
_WARMUP = 0.05
#: What counts as found where figures are taken.
_FIGURES: dict[str, Any] = {"min_confidence": 0.05, "max_overlap": 0.6}


def train_adapter(
    pipe: Any,
    lessons: Sequence[Lesson],
    held_out: Sequence[Lesson],
    classes: Sequence[str],
    settings: AdapterSettings,
    files: AdapterFiles,
    *,
    model: str,
    data: str = "",
    progress: Listener | None = None,
) -> TrainedAdapter:
    """Train a head and write it.

    Args:
        pipe: the diffusion model, which stays as it is.
        lessons: labelled images to learn from.
        held_out: those that figures are of.
        classes: names by their ids.
        settings: of the training.
        files: the files to write.
        model: what the diffusion model is loaded by.
        data: a digest of the lessons, by which a stopped run knows them again.
        progress: called after each step.

    Raises:
        ImageError: no lesson has an object.
        ModelError: the model's features cannot be read, or memory runs out.
    """
    if not any(lesson.instances for lesson in lessons):
        raise ImageError("none of the images to learn from has an object; label them first or choose others")
    reader = FeatureReader(pipe, settings.noise)
    masks = any(not each.boxed for lesson in lessons for each in lesson.instances)
    first = reader.read([lesson.image for lesson in lessons[:16]])
    torch.manual_seed(settings.seed)
    head = DetectionHead([each.shape[1] for each in first], len(classes), settings.width, first[-1].shape[-1])
    head.standardise(first)
    adapter = DetectionAdapter(reader, head.to(reader.device), classes, masks)
    config = {
        "model": model,
        "classes": list(classes),
        "noise": settings.noise,
        "width": settings.width,
        "channels": [each.shape[1] for each in first],
        "finest": first[-1].shape[-1],
        "masks": masks,
    }
    run = {"settings": settings.preparation(), "config": config, "data": data}
    _learn(adapter, lessons, settings, files, run, progress)
    with replacing_file(files.weights) as part:
        save_file({name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}, part)
    write_text(files.config, json.dumps(config, indent=2) + "\n")
    precision = figures(adapter, held_out)
    files.write_facts({**files.read_facts(), "precision": precision, "steps": settings.steps})
    return TrainedAdapter(files, settings.steps, precision)


def figures(adapter: DetectionAdapter, lessons: Sequence[Lesson], batch: int = 16) -> dict[str, float]:
    """The average precision at IoU 0.5 of each class that the lessons show."""
    found = []
    for start in range(0, len(lessons), batch):
        found += adapter.find([lesson.image for lesson in lessons[start : start + batch]], **_FIGURES)
    return average_precision_50(found, [lesson.instances for lesson in lessons])


def _learn(
    adapter: DetectionAdapter,
    lessons: Sequence[Lesson],
    settings: AdapterSettings,
    files: AdapterFiles,
    run: dict[str, Any],
    progress: Listener | None,
) -> None:
    head, done = adapter.head.train(), 0
    optimiser = torch.optim.AdamW(head.parameters(), settings.learning_rate, weight_decay=1e-4)
    earlier = read_about(files.checkpoint)
    if earlier is not None and {name: earlier.get(name) for name in run} == run:
        load_checkpoint(files.checkpoint, head, optimiser)
        done = int(earlier["step"])
    rows = [row for row in _rows(files) if row["step"] <= done]
    meter, step = Meter(progress, settings.steps, done=done, images_each=settings.batch_size), done
    try:
        for step in range(done, settings.steps):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * _rate(step, settings.steps)
            parts = _step(adapter, lessons, settings, step, optimiser)
            if step % _ROW == 0 or step + 1 == settings.steps:
                total = sum(_WEIGHTS[name] * value for name, value in parts.items())
                rows.append({"step": step + 1, "loss": total, **parts})
            if (step + 1) % _CHECKPOINT == 0 or step + 1 == settings.steps:
                _keep(files, head, optimiser, run, step + 1, rows)
            meter.advance(1, f"loss {rows[-1]['loss']:.3f}")
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        remedy = f"the device has too little memory to train at batch_size {settings.batch_size}; lower it"
        raise ModelError(remedy) from error
    finally:
        head.eval()


def _step(
    adapter: DetectionAdapter,
    lessons: Sequence[Lesson],
    settings: AdapterSettings,
    step: int,
    optimiser: torch.optim.Optimizer,
) -> dict[str, float]:
    rng = np.random.default_rng((settings.seed, step))
    side, masks = adapter.reader.side, 2 * adapter.head.grid
    chosen = rng.permutation(len(lessons))[: settings.batch_size]
    if len(chosen) < settings.batch_size:  # of few images some are seen twice
        chosen = rng.integers(0, len(lessons), settings.batch_size)
    views = [view_of(lessons[int(index)], rng, side, settings.zoom, settings.flip) for index in chosen]
    truths = [truth_of(view, adapter.classes, masks, adapter.reader.device) for view in views]
    predictions = adapter.predict([view.image for view in views])
    parts = losses(predictions, truths, torch.Generator().manual_seed(step))
    total: Tensor = torch.stack([_WEIGHTS[name] * value for name, value in parts.items()]).sum()
    optimiser.zero_grad()
    total.backward()
    nn.utils.clip_grad_norm_(adapter.head.parameters(), 5.0)
    optimiser.step()
    return {name: float(value.detach()) for name, value in parts.items()}


def _rate(step: int, steps: int) -> float:
    """The share of the learning rate: up in a line, then down along half a cosine."""
    warm = max(1.0, _WARMUP * steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))


def _keep(
    files: AdapterFiles,
    head: nn.Module,
    optimiser: torch.optim.Optimizer,
    run: dict[str, Any],
    step: int,
    rows: Sequence[dict[str, float]],
) -> None:
    files.folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(files.checkpoint, head, optimiser, {**run, "step": step})
    with replacing_file(files.curves) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _rows(files: AdapterFiles) -> list[dict[str, float]]:
    columns = files.read_curves()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
