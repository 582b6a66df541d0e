"""The ``samples`` argument of provenance and repaint, as samples of one dataset with all their fields."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TypeAlias

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.fiftyone_private import SampleView, dataset_name_of
from diffucurate.plugin.store.samples import dataset_of, parts_of

#: One sample, several of one dataset, a dataset, or a view of whole images.
Samples: TypeAlias = fo.Sample | Iterable[fo.Sample] | fo.Dataset | fo.DatasetView


def dataset_with(sample: fo.Sample) -> fo.Dataset:
    """The dataset that a sample, or a view's sample, is in.

    Raises:
        DatasetError: it is in none.
    """
    if not isinstance(sample, fo.Sample | SampleView):
        raise DatasetError(f"expected a FiftyOne sample, found {type(sample).__name__}")
    if isinstance(sample, SampleView):
        return fo.load_dataset(dataset_name_of(sample))
    if not sample.in_dataset:
        raise DatasetError("the sample is in no dataset; pass one of a dataset, such as dataset.first()")
    return sample.dataset


def painted_samples(samples: Samples) -> tuple[fo.Dataset, list[fo.Sample]]:
    """The dataset of some samples, and the samples in their order with all their fields.

    Raises:
        DatasetError: there are none, they are of several datasets, or patches or frames.
    """
    if isinstance(samples, fo.Dataset | fo.DatasetView):
        dataset, ids = dataset_of(samples), samples.values("id")
    else:
        listed = [samples] if isinstance(samples, fo.Sample | SampleView) else list(samples)
        if not listed:
            raise DatasetError("no sample is given; pass at least one")
        dataset, ids = dataset_with(listed[0]), [sample.id for sample in listed]
        if any(dataset_with(sample).name != dataset.name for sample in listed):
            raise DatasetError("the samples are of several datasets; pass those of one at a time")
    return dataset, list(chain.from_iterable(parts_of(dataset, ids)))
