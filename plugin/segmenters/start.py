"""What keeps a segmenter from being trained as asked, before an image is read; writes nothing.

Every run begins here, and forms ask the same at every keystroke.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.segmenters.files import SegmenterFiles
from diffucurate.generator.segmenters.settings import SegmenterSettings
from diffucurate.generator.segmenters.start import check_start
from diffucurate.generator.text.class_names import some_of
from diffucurate.plugin.curation.relatives import USUAL
from diffucurate.plugin.exporting.start import SPLIT_AT_ONCE, split_evenly
from diffucurate.plugin.segmenters.names import check_files, default_name
from diffucurate.plugin.store.classes import classes_in
from diffucurate.plugin.store.label_sources import count_masks, instances_field
from diffucurate.plugin.store.labelled_together import check_labelled
from diffucurate.plugin.store.samples import dataset_of
from diffucurate.plugin.store.source_names import check_new_source


def check_train(
    samples: fo.Dataset | fo.DatasetView,
    source: str,
    settings: SegmenterSettings,
    *,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    into: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    trust_pickle: bool = False,
) -> tuple[SegmenterFiles, dict[str, Any]]:
    """The files that ``train_segmenter`` with the same arguments writes, and what it is asked for, as plain data.

    Raises:
        InvalidSetting: no such start, the name or ``into`` is taken, or a class that the dataset does not have.
        DatasetError: no labels of ``source``, or none with masks.
        ExportError: too few images for both parts.
        ModelError: Ultralytics is not installed, or the start cannot be used.
    """
    dataset = dataset_of(samples)
    field = instances_field(dataset, source)
    known = classes_in(dataset, field)
    if unknown := [each for each in classes or () if each not in known]:
        raise InvalidSetting("classes", unknown[0], f"the dataset has no such class; there are {some_of(known)}")
    if into is not None:
        check_new_source(dataset, into, "label", "labelled")
    check_start(settings.start, trust_pickle=trust_pickle)
    check_labelled(samples, dataset, (source,))
    ids = samples.exists(field).limit(SPLIT_AT_ONCE + 1).values("id")
    if len(ids) <= SPLIT_AT_ONCE:  # of more both parts get some
        split_evenly(dataset, ids, {"train": 1 - settings.val, "val": settings.val}, USUAL)
    instances, masks = count_masks(samples, field)
    if instances and not masks:
        raise DatasetError(f"no object of '{source}' has a mask, which a segmenter learns from; choose other labels")
    files = SegmenterFiles.of(name or default_name(dataset.name, source), folder)
    asked = {
        "dataset": dataset.name,
        "source": source,
        "classes": None if classes is None else list(classes),
        "settings": settings.model_dump(mode="json"),
    }
    check_files(files, asked, overwrite=overwrite)
    return files, asked
