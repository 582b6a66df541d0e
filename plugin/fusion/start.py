"""What keeps sources from being fused; writes nothing. The run begins here, and forms ask the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.fusion.settings import FusionSettings
from diffucurate.plugin.fusion.names import check_name
from diffucurate.plugin.store.labelled_together import check_labelled, labels_path
from diffucurate.plugin.store.samples import dataset_of


def check_fuse(
    samples: fo.Dataset | fo.DatasetView, sources: Sequence[str], *, into: str, settings: FusionSettings
) -> fo.Dataset:
    """The dataset of samples whose sources can be fused.

    Raises:
        InvalidSetting: fewer than two sources, one twice, or ``into`` is a source or has labels that were not fused.
        DatasetError: there is no such source or field, or no sample has the labels of all.
    """
    if isinstance(sources, str) or len(sources) < 2:
        raise InvalidSetting("sources", sources, "name at least two, such as attention, yolov8")
    if len(set(sources)) < len(sources):
        raise InvalidSetting("sources", list(sources), "name each once")
    if isinstance(settings.lone, Mapping) and (other := [name for name in settings.lone if name not in sources]):
        raise InvalidSetting("lone", other[0], f"it is none of the sources {', '.join(sources)}")
    dataset = dataset_of(samples)
    for name in sources:
        labels_path(dataset, name)
    check_name(dataset, into, sources)
    check_labelled(samples, dataset, sources)
    return dataset
