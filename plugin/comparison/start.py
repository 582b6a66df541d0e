"""What keeps two sets of labels from being matched; writes nothing. Runs begin here, and forms ask the same."""

from __future__ import annotations

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.store.labelled_together import check_labelled, labels_path
from diffucurate.plugin.store.samples import dataset_of


def check_pair(samples: fo.Dataset | fo.DatasetView, a: str, b: str, *, iou: float, second: str = "b") -> fo.Dataset:
    """The dataset of samples whose labels ``a`` and ``b``, names of sources or fields, can be matched.

    Args:
        samples: a dataset or view.
        a, b: names of sources or fields.
        iou: the least IoU of a match.
        second: what the caller calls ``b``.

    Raises:
        InvalidSetting: the same labels twice, or an ``iou`` out of range.
        DatasetError: there are no such labels, or no sample has both.
    """
    if not isinstance(iou, int | float) or not 0 < iou <= 1:
        raise InvalidSetting("iou", iou, "give the least IoU of a match, above 0 and at most 1")
    dataset = dataset_of(samples)
    if labels_path(dataset, a) == labels_path(dataset, b):
        raise InvalidSetting(second, b, f"name labels other than {a}")
    check_labelled(samples, dataset, (a, b))
    return dataset
