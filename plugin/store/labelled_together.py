"""Whether samples have the labels of several sources or fields at once. Writes nothing, so forms can ask."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.store.label_fields import label_field, with_objects
from diffucurate.plugin.store.label_sources import comparable, instances_field


def check_labelled(samples: fo.Dataset | fo.DatasetView, dataset: fo.Dataset, names: Sequence[str]) -> None:
    """Refuse samples of which none has the labels of all ``names``, which are sources or fields.

    Raises:
        DatasetError: there are none, or the dataset has no such labels.
    """
    view = samples.view()
    for name in names:
        view = view.exists(labels_path(dataset, name))
    if view.limit(1).count():
        return
    if len(names) == 1:
        raise DatasetError(f"no sample has labels of '{names[0]}'; label them first or choose another view")
    listed = " and ".join(f"'{name}'" for name in names)
    both = "both " if len(names) == 2 else ""
    raise DatasetError(f"no sample has labels of {both}{listed}; label the same samples with each first")


def labels_path(dataset: fo.Dataset, name: str) -> str:
    """The field of a label source's instances, or of that very name, whatever kind of labels it holds.

    Raises:
        DatasetError: the dataset has no such labels.
    """
    is_other_kind = name not in comparable(dataset) and name in with_objects(dataset)
    return label_field(dataset, name).name if is_other_kind else instances_field(dataset, name)
