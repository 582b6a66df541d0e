"""The samples of a view as records that the writers of formats take, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.errors import DatasetError, ExportError
from diffucurate.generator.progress import Meter
from diffucurate.plugin.exporting.formats import ONLY_SPLIT
from diffucurate.plugin.exporting.semantic_masks import SemanticMasks
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import only_classes
from diffucurate.plugin.store.instances import read_instances
from diffucurate.plugin.store.samples import dataset_of, parts_of, prompt_of

if TYPE_CHECKING:
    from diffucurate.generator.exports.images import ExportRecord


@dataclass
class LeftOut:
    """What is not exported: paths of images, a sentence for each instance, and of how many the mask."""

    unreadable: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    boxes: int = 0


def labelled_samples(
    samples: fo.Dataset | fo.DatasetView, field: str, classes: Sequence[str] | None = None
) -> fo.DatasetView:
    """The samples that have a value in the Detections field ``field``; with ``classes``, only instances of these.

    Raises:
        InvalidSetting: a class that the dataset does not have.
    """
    labelled = samples.match(F(field) != None)  # noqa: E711  (a database expression)
    return labelled if classes is None else only_classes(labelled, dataset_of(samples), (field,), classes)


def records(
    samples: fo.DatasetView,
    field: str,
    splits: Mapping[str, str] | None,
    left_out: LeftOut,
    meter: Meter,
    masks: SemanticMasks | None = None,
    *,
    boxes: bool = False,
) -> Iterator[ExportRecord]:
    """The samples in turn, with their class ids where ``masks`` reads them; ``left_out`` collects what cannot be read.

    Args:
        samples: a view.
        field: the Detections field of their instances.
        splits: sample id -> split; None where all are in one.
        left_out: to add to.
        meter: advanced with each sample.
        masks: reads semantic masks, for formats that hold them.
        boxes: whether instances of which only the box is known are taken too.

    Raises:
        DatasetError: there are instances, and none can be read.
        ExportError: a split without any readable image.
    """
    from diffucurate.generator.exports.images import ExportRecord, upright_size

    readable, count = set(), 0
    own = [name for name in (field_names.PROMPT, masks and masks.field) if name and samples.has_sample_field(name)]
    for sample in chain.from_iterable(parts_of(samples.select_fields([field, *own]))):
        split = ONLY_SPLIT if splits is None else splits[sample.id]
        try:
            width, height = upright_size(sample.filepath)
        except OSError:
            left_out.unreadable.append(sample.filepath)
            meter.advance(note=f"left out {sample.filepath}: it cannot be read")
            continue
        readable.add(split)
        read = read_instances(sample[field], (height, width), box_suffices=boxes)
        left_out.instances += [f"{sample.filepath}, {field}: {reason}" for reason in read.left_out.values()]
        count += len(read.instances)
        left_out.boxes += sum(instance.boxed for instance in read.instances)
        yield ExportRecord(
            Path(sample.filepath),
            read.instances,
            split,
            read.crowds,
            prompt_of(sample) or "",
            None if masks is None else masks.read(sample, read.instances, (height, width)),
        )
        meter.advance()
    if left_out.instances and not count:
        raise DatasetError(f"none of {len(left_out.instances)} instances can be read: {left_out.instances[0]}")
    for name in sorted(({ONLY_SPLIT} if splits is None else set(splits.values())) - readable):
        raise ExportError(f"none of the images of split '{name}' can be read; export others, or leave it out")
