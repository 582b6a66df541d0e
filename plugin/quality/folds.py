"""Predictions of each image by a segmenter that was not trained on it: k folds, one training for each."""

from __future__ import annotations

from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.progress import Listener, announce
from diffucurate.generator.segmenters.settings import SegmenterSettings
from diffucurate.plugin.curation.relatives import split_samples
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.quality.checks import unseen_name
from diffucurate.plugin.quality.start import check_folds
from diffucurate.plugin.segmenters.names import default_name
from diffucurate.plugin.segmenters.train import train_segmenter
from diffucurate.plugin.store.samples import all_images


def predict_unseen(
    samples: fo.Dataset | fo.DatasetView,
    dataset: fo.Dataset,
    source: tuple[str, str],
    folds: int,
    training: SegmenterSettings | None,
    device: str | None,
    progress: Listener | None,
) -> None:
    """Have each image labelled by a segmenter that was trained on the labels of the others.

    Images that were painted from one another are in one fold. Labels are stored under ``unseen_name``.

    Args:
        samples: a dataset or view.
        dataset: of which the samples are.
        source: (name, Detections field) of the labels to learn from.
        folds: number of trainings; each learns from all images but one of so many parts.
        training: how; the defaults of ``train_segmenter`` where left out.
        device: as torch names it.
        progress: called meanwhile.

    Raises:
        InvalidSetting: fewer than two folds.
        DatasetError: fewer labelled images than folds.
        ModelError: Ultralytics is not installed, or a training failed.
    """
    check_folds(samples, source[0], folds)
    ids = samples.exists(source[1]).values("id")
    parts = split_samples(dataset, ids, {f"fold-{number}": 1 / folds for number in range(1, folds + 1)})
    if len(set(parts.values())) < folds:
        raise DatasetError(f"{len(ids)} images with labels of '{source[0]}' are too few for {folds} folds")
    settings: dict[str, Any] = {} if training is None else training.model_dump(exclude_unset=True)
    for fold in sorted(set(parts.values())):
        announce(progress, f"{fold} of {folds}: a segmenter learns from the others")
        held_out, others = (
            all_images(dataset).select([each for each in ids if each in parts and (parts[each] == fold) is inside])
            for inside in (True, False)
        )
        trained = train_segmenter(
            others,
            source[0],
            name=f"{default_name(dataset.name, source[0])}-{fold}-of-{folds}",
            overwrite=True,
            device=device,
            progress=progress,
            **settings,
        )
        into = unseen_name(source[0])
        label(held_out, source="yolov8", weights=trained.weights, into=into, device=device, progress=progress)
