"""Trains a segmenter on one source's labels of a dataset or view, and has it label images.

Knows FiftyOne's samples and labels; ``generator.segmenters`` does the training.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone as fo
from PIL import Image

from diffucurate.generator.files.atomic import write_text
from diffucurate.generator.progress import Listener, announce
from diffucurate.generator.segmenters.settings import DEFAULT_START, SegmenterSettings
from diffucurate.plugin.exporting.export import export
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.segmenters.start import check_train
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.lease import held
from diffucurate.plugin.store.samples import dataset_of

if TYPE_CHECKING:
    from diffucurate.generator.segmenters.results import TrainedSegmenter

#: The longer side, in pixels, to which larger images are brought where the settings leave it open.
_LARGEST = 640


def train_segmenter(
    samples: fo.Dataset | fo.DatasetView,
    source: str,
    *,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    into: str | None = None,
    start: str | os.PathLike[str] = DEFAULT_START,
    epochs: int = 100,
    patience: int = 30,
    image_size: int | None = None,
    batch_size: int = 16,
    learning_rate: float | None = None,
    val: float = 0.1,
    seed: int = 0,
    mosaic: float = 1.0,
    device: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    trust_pickle: bool = False,
    progress: Listener | None = None,
) -> TrainedSegmenter:
    """Train a YOLO segmenter on the images and instances that a view shows, with Ultralytics' own trainer.

    The segmenter labels any images: ``label(other, source="yolov8", weights=trained.weights, into="student")``. Its
    figures are of images of this view that it did not learn from, by labels of the same source: what it is worth on
    others is seen where their truth is known, by ``compare`` or ``evaluate``.

    A run that was stopped is continued by the same call, after the last whole epoch.

    Args:
        samples: a dataset or view, such as the curated one. A sample that the source has labelled without finding
            anything is an image without objects.
        source: the label source, or the field of detections, to learn from; instances need masks.
        name: of the segmenter's files; by default the dataset's and the source's.
        classes: only these; all by default.
        into: have it label ``samples`` at the end, under this name. It has seen most of them while it learned, so its
            labels there are no independent ones.
        start, epochs, patience, image_size, batch_size, learning_rate, val, seed, mosaic: as the fields of
            ``generator.segmenters.settings.SegmenterSettings``.
        device: as torch names it; by default a GPU where there is one.
        folder: where segmenters go by name; see ``generator.segmenters.files``.
        overwrite: begin anew where a segmenter of that name is there.
        trust_pickle: start from a checkpoint even if reading it runs code of whoever made it.
        progress: called after each batch.

    Returns:
        The segmenter, which is on disk then.

    Raises:
        InvalidSetting: a setting is wrong, or the name is taken.
        DatasetError: no labels of ``source``, or instances without masks.
        ExportError: too few images for both parts, or none can be read.
        ModelError: Ultralytics is not installed, the start cannot be used, or training failed.
    """
    settings = SegmenterSettings(
        start=os.fspath(start),
        epochs=epochs,
        patience=patience,
        image_size=image_size,
        batch_size=batch_size,
        learning_rate=learning_rate,
        val=val,
        seed=seed,
        mosaic=mosaic,
    )
    files, asked = check_train(
        samples,
        source,
        settings,
        name=name,
        classes=classes,
        into=into,
        folder=folder,
        overwrite=overwrite,
        trust_pickle=trust_pickle,
    )
    dataset = dataset_of(samples)

    from diffucurate.generator.segmenters.training import train_segmenter as train

    record = {**asked, "name": files.name, "path": str(files.weights)}
    lock = held(dataset, f"train_segmenter-{files.folder}", "trains this segmenter")
    with lock, runs.recorded(dataset, "train_segmenter", record) as run:
        announce(progress, "writing the images and labels to learn from")
        shares = {"train": 1 - val, "val": val}
        summary = export(
            samples, files.data, format="yolo", source=source, classes=classes, splits=shares, overwrite=True
        )
        content = _digest(files.data)
        resume = not overwrite and files.read_facts().get("data") == content and files.last.is_file()
        if not resume:  # else a run that stops before its first epoch would be taken for the earlier one
            shutil.rmtree(files.run, ignore_errors=True)
        write_text(files.facts, json.dumps({**asked, "data": content}, indent=2) + "\n")
        run.facts |= {"images": summary.images, "instances": summary.instances, "resumed": resume}
        trained = train(
            files.data / "data.yaml",
            settings,
            files,
            image_size=_image_size(files.data),
            device=device,
            resume=resume,
            progress=progress,
        )
        run.facts |= {"epochs": trained.epochs, "figures": trained.figures.to_dict()}
        shutil.rmtree(files.data)
    if into is not None:
        label(
            samples,
            source="yolov8",
            weights=trained.weights,
            into=into,
            classes=classes,
            device=device,
            progress=progress,
        )
    return trained


def _digest(data: Path) -> str:
    """Of all that is learned from, whatever the folder is called."""
    digest = hashlib.sha256()
    for path in sorted(path for path in data.rglob("*") if path.is_file() and path.parent != data):
        digest.update(f"{path.relative_to(data)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _image_size(data: Path) -> int:
    """The longest side of all images, up to ``_LARGEST``, on the network's grid of 32."""
    longest = 32
    for path in (data / "images").rglob("*"):
        if path.is_file():
            with Image.open(path) as image:
                longest = max(longest, *image.size)
    return min(_LARGEST, -(-longest // 32) * 32)
