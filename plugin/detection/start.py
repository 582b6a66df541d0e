"""What keeps an adapter from being trained as asked, before an image is read; writes nothing.

Every run begins here, and forms ask the same at every keystroke.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import fiftyone as fo

from diffucurate.generator.detection.files import AdapterFiles
from diffucurate.generator.detection.settings import AdapterSettings
from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.models.names import locate
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.generator.text.class_names import some_of
from diffucurate.plugin.curation.relatives import USUAL
from diffucurate.plugin.exporting.start import split_evenly
from diffucurate.plugin.segmenters.names import default_name
from diffucurate.plugin.store.as_detections import classes_of
from diffucurate.plugin.store.labelled_together import check_labelled, labels_path
from diffucurate.plugin.store.samples import dataset_of


def check_adapter(
    samples: fo.Dataset | fo.DatasetView,
    source: str,
    settings: AdapterSettings,
    *,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    model: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> tuple[AdapterFiles, dict[str, Any]]:
    """The files that ``train_adapter`` with the same arguments writes, and what it is asked for, as plain data.

    Raises:
        InvalidSetting: the name is taken, or a class that the dataset does not have.
        DatasetError: no labels of ``source``.
        ExportError: too few images for both parts.
        ModelError: there is no such model.
    """
    if settings.width % 8:
        raise InvalidSetting("width", settings.width, "give a multiple of 8, such as 96")
    dataset = dataset_of(samples)
    check_labelled(samples, dataset, (source,))
    known = classes_of(dataset, source)
    if unknown := [each for each in classes or () if each not in known]:
        raise InvalidSetting("classes", unknown[0], f"the dataset has no such class; there are {some_of(known)}")
    if not known:
        raise DatasetError(f"'{source}' has no object that could be learned; choose other labels")
    locate(model or BUILT_IN)
    ids = samples.exists(labels_path(dataset, source)).values("id")
    split_evenly(dataset, ids, {"train": 1 - settings.val, "val": settings.val}, USUAL)  # both parts get some
    files = AdapterFiles.of(name or default_name(dataset.name, source), folder)
    asked = {
        "dataset": dataset.name,
        "source": source,
        "classes": None if classes is None else list(classes),
        "model": model or BUILT_IN,
        "settings": settings.preparation(),
    }
    earlier = files.read_facts()
    if not overwrite and files.weights.exists() and "precision" in earlier:
        remedy = f"an adapter of that name is there ({files.weights}); choose another name, or replace it"
        raise InvalidSetting("name", files.name, remedy)
    if not overwrite and (changed := [key for key in asked if earlier and earlier.get(key) != asked[key]]):
        remedy = f"a run of that name was stopped that had other {' and '.join(changed)}; give the same, or replace it"
        raise InvalidSetting("name", files.name, remedy)
    return files, asked
