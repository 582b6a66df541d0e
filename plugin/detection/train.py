"""Trains an adapter on one source's labels of a dataset or view.

Knows FiftyOne's samples and labels; ``generator.detection`` does the training.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import fiftyone as fo

from diffucurate.generator.detection.settings import AdapterSettings
from diffucurate.generator.errors import DatasetError
from diffucurate.generator.progress import Listener, announce
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.plugin.curation.relatives import USUAL
from diffucurate.plugin.detection.start import check_adapter
from diffucurate.plugin.exporting.start import split_evenly
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.as_detections import classes_of, detections_field
from diffucurate.plugin.store.instances import read_instances
from diffucurate.plugin.store.lease import held
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import dataset_of, parts_of

if TYPE_CHECKING:
    from diffucurate.generator.detection.results import TrainedAdapter
    from diffucurate.generator.detection.views import Lesson

_DEFAULTS = AdapterSettings()


def train_adapter(
    samples: fo.Dataset | fo.DatasetView,
    source: str,
    *,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    model: str | None = None,
    steps: int = _DEFAULTS.steps,
    batch_size: int = _DEFAULTS.batch_size,
    learning_rate: float = _DEFAULTS.learning_rate,
    noise: float = _DEFAULTS.noise,
    width: int = _DEFAULTS.width,
    zoom: float = _DEFAULTS.zoom,
    flip: bool = _DEFAULTS.flip,
    val: float = _DEFAULTS.val,
    seed: int = _DEFAULTS.seed,
    device: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Listener | None = None,
) -> TrainedAdapter:
    """Train a small head on a frozen diffusion model's features to find objects, from the labels that a view shows.

    The adapter labels any images: ``label(other, source="adapter", weights=trained.weights)``. It learns boxes, and
    masks where labels have them. After DiffusionEngine (Zhang et al. 2023). The images are held in memory meanwhile.

    A run that was stopped is continued by the same call, from its last checkpoint (every 100 steps).

    Args:
        samples: a dataset or view. A sample that the source has labelled without finding anything is an image without
            objects.
        source: the label source, or any field of labels, to learn from.
        name: of the adapter's files; by default the dataset's and the source's.
        classes: only these; all by default.
        model: the diffusion model whose features are read, the built-in one by default.
        steps, batch_size, learning_rate, noise, width, zoom, flip, val, seed: as the fields of
            ``generator.detection.settings.AdapterSettings``.
        device: as torch names it; by default a GPU where there is one.
        folder: where adapters go by name; see ``generator.detection.files``.
        overwrite: begin anew where an adapter of that name is there.
        progress: called after each step.

    Returns:
        The adapter, which is on disk then.

    Raises:
        InvalidSetting: a setting is wrong, or the name is taken.
        DatasetError: no labels of ``source``, or none that can be read.
        ExportError: too few images for both parts.
        ModelError: the model cannot be loaded, its features cannot be read, or memory runs out.
    """
    settings = AdapterSettings(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        noise=noise,
        width=width,
        zoom=zoom,
        flip=flip,
        val=val,
        seed=seed,
    )
    files, asked = check_adapter(
        samples, source, settings, name=name, classes=classes, model=model, folder=folder, overwrite=overwrite
    )
    dataset = dataset_of(samples)

    import torch

    from diffucurate.generator.detection.training import train_adapter as train
    from diffucurate.generator.models.load import load_pipeline

    record = {**asked, "name": files.name, "path": str(files.weights)}
    lock = held(dataset, f"train_adapter-{files.folder}", "trains this adapter")
    with lock, runs.recorded(dataset, "train_adapter", record) as run:
        announce(progress, "reading the images and labels to learn from")
        path = detections_field(samples, dataset, source)
        names = list(classes) if classes is not None else classes_of(dataset, source)
        ids = samples.exists(path).values("id")
        splits = split_evenly(dataset, ids, {"train": 1 - val, "val": val}, USUAL)
        parts, digest = _lessons(samples, path, splits, names, run)
        if not any(lesson.instances for lesson in parts["train"]):
            raise DatasetError(f"none of the images to learn from has an object of '{source}' that can be read")
        if overwrite:
            files.remove()
        files.write_facts({**asked, "data": digest})
        run.facts |= {"images": {part: len(lessons) for part, lessons in parts.items()}}
        pipe = load_pipeline(model or BUILT_IN, device, torch.float32, memory="off")
        trained = train(
            pipe,
            parts["train"],
            parts["val"],
            names,
            settings,
            files,
            model=model or BUILT_IN,
            data=digest,
            progress=progress,
        )
        run.facts |= {"steps": trained.steps, "precision": dict(trained.precision), "map50": trained.map50}
    return trained


def _lessons(
    samples: fo.Dataset | fo.DatasetView,
    path: str,
    splits: Mapping[str, str],
    classes: Sequence[str],
    run: runs.Run,
) -> tuple[dict[str, list[Lesson]], str]:
    """The images of each part with their objects, and a digest of all of them."""
    from diffucurate.generator.detection.views import Lesson

    parts: dict[str, list[Lesson]] = {"train": [], "val": []}
    digest, left_out = hashlib.sha256(repr(list(classes)).encode()), []
    for part in parts_of(samples, list(splits)):
        for sample in part.select_fields(path):
            try:
                image = read_image(sample.filepath)
            except OSError:
                left_out.append(f"{sample.filepath} cannot be read")
                continue
            read = read_instances(sample[path], (image.shape[0], image.shape[1]), box_suffices=True)
            left_out += [f"{sample.filepath}: {reason}" for reason in read.left_out.values()]
            shown = [each for each in read.instances if each.label in classes]
            parts[splits[sample.id]].append(Lesson(image, shown))
            digest.update(splits[sample.id].encode() + image.tobytes())
            for each in shown:
                digest.update(each.label.encode() + each.mask.tobytes())
    if left_out:
        run.facts["left_out"] = left_out
    return parts, digest.hexdigest()
