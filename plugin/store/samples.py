"""Samples in FiftyOne: their dataset, the fields of a painted one, the prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.fiftyone_private import shows_patches_or_frames
from diffucurate.plugin.store import canvas_document, caption_document, field_names, layout_document
from diffucurate.plugin.store.init_document import init_document

#: Samples of a part.
_PART = 500

if TYPE_CHECKING:
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.painting.conditions import Conditions


def dataset_of(samples: fo.Dataset | fo.DatasetView) -> fo.Dataset:
    """The dataset that ``samples`` is, or is a view into.

    Raises:
        DatasetError: it is neither, was deleted, holds other media than images, has no samples, or is a view whose
            samples are patches or frames of the dataset's own, or groups of them. Slices of a grouped dataset are
            images where a view selects them (``select_group_slices``).
    """
    if not isinstance(samples, fo.Dataset | fo.DatasetView):
        raise DatasetError(f"expected a FiftyOne dataset or view, found {type(samples).__name__}")
    name = samples.name if isinstance(samples, fo.Dataset) else samples.dataset_name
    if not fo.dataset_exists(name):
        raise DatasetError(f"dataset '{name}' was deleted meanwhile; open another one")
    dataset = samples if isinstance(samples, fo.Dataset) else fo.load_dataset(name)
    if isinstance(samples, fo.DatasetView) and shows_patches_or_frames(samples):
        raise DatasetError("the view holds patches or frames, not whole images; pass the dataset or another view of it")
    if samples.media_type == "group":
        what = f"dataset '{dataset.name}'" if samples is dataset else "the view"
        raise DatasetError(
            f"{what} shows groups of images, and one image of each; flatten it where 'Group by' made them "
            "(view.flatten()), else choose slices (view.select_group_slices(...))"
        )
    if samples.media_type not in ("image", None):
        raise DatasetError(f"dataset '{dataset.name}' holds {samples.media_type} samples; use one of images")
    if is_empty(samples):
        what = f"dataset '{dataset.name}'" if samples is dataset else f"the view of dataset '{dataset.name}'"
        raise DatasetError(f"{what} has no samples; add some or choose another view")
    return dataset


def is_empty(samples: fo.Dataset | fo.DatasetView) -> bool:
    """Whether there is no sample. The length of a dataset is MongoDB's own estimate, which is 0 after a server was
    killed that has not counted yet."""
    return not len(samples) and not samples.limit(1).values("id")


def all_images(dataset: fo.Dataset) -> fo.Dataset | fo.DatasetView:
    """All images of a dataset: of a grouped one those of all slices, of which the dataset itself shows one alone."""
    return dataset.select_group_slices(media_type="image") if dataset.media_type == "group" else dataset


def parts_of(samples: fo.Dataset | fo.DatasetView, ids: Sequence[str] | None = None) -> Iterator[fo.DatasetView]:
    """The samples in parts of a fixed size, for what must not hold the values of all of them.

    With ``ids`` those samples, once each, in the order of these; to order all at once, as
    ``select(ids, ordered=True)`` does, takes the database time with the square of their number. FiftyOne's own
    iteration holds as many samples as a reply of the database has, and ``values()`` all.
    """
    wanted = samples.values("id") if ids is None else list(dict.fromkeys(ids))
    for start in range(0, len(wanted), _PART):
        yield samples.select(wanted[start : start + _PART], ordered=ids is not None)


def values_by(ids: Sequence[str], samples: fo.Dataset | fo.DatasetView, path: str) -> list[Any]:
    """A value of each of the samples with these ids, in the order of the ids, which are all in ``samples``."""
    known = dict(zip(*samples.select(list(ids)).values(["id", path]), strict=True))
    return [known[identifier] for identifier in ids]


def job_fields(
    job: Job,
    run_key: str,
    *,
    conditions: Conditions | None = None,
    source_id: str | None = None,
    planned_seed: int | None = None,
    lost_regions: int | None = None,
) -> dict[str, Any]:
    """The values of a painted sample's own fields: all that is needed to make the image again.

    ``source_id`` is the sample of which this one is a variation, ``planned_seed`` the seed by which the job has its id,
    where another one made the image; ``lost_regions`` of a canvas have no object.
    """
    painted = None if conditions is None else fo.DynamicEmbeddedDocument(**asdict(conditions))
    if painted is not None and planned_seed not in (None, job.seed):
        painted[field_names.PLANNED_SEED] = planned_seed
    regions = None if job.canvas is None else canvas_document.canvas_document(job.canvas, lost_regions)
    return {
        field_names.JOB_ID: job.job_id,
        field_names.RUN_KEY: run_key,
        field_names.TASK: job.task,
        field_names.MODEL: job.model,
        field_names.PROMPT: job.prompt,
        field_names.NEGATIVE_PROMPT: job.negative_prompt,
        field_names.SEED: job.seed,
        field_names.STEPS: job.steps,
        field_names.GUIDANCE: job.guidance,
        field_names.ATTRIBUTES: fo.DynamicEmbeddedDocument(**job.attributes),
        field_names.PAINTED: painted,
        field_names.SOURCE_ID: source_id,
        **({} if job.source is None else {field_names.SOURCE: init_document(job.source)}),
        **({} if job.caption is None else {field_names.CAPTION: caption_document.caption_document(job.caption)}),
        **({} if regions is None else {field_names.CANVAS: regions}),
        **({} if job.layout is None else {field_names.LAYOUT: layout_document.layout_document(job.layout)}),
    }


def prompt_of(sample: fo.Sample) -> str | None:
    """The prompt of the sample's image, None where unknown."""
    prompt = sample[field_names.PROMPT] if sample.has_field(field_names.PROMPT) else None
    return prompt if isinstance(prompt, str) else None
