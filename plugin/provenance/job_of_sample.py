"""The job of a sample: rebuilt from its fields, and checked against its id.

The id of a job is a hash of its whole content, so a rebuilt job is either exactly the one that was painted or known to
differ. Where fields were changed, the jobs of the recipe are tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, RecipeError
from diffucurate.generator.jobs.jobs import Job, choices, job_of, jobs, negative_prompt, phrases_of
from diffucurate.generator.jobs.retries import retry_seeds
from diffucurate.generator.jobs.variations import altered
from diffucurate.generator.recipe.guide import DEFAULT_WEIGHT, guide_of
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.canvas_document import canvas_in
from diffucurate.plugin.store.caption_document import caption_in
from diffucurate.plugin.store.init_document import init_image_in
from diffucurate.plugin.store.layout_document import layout_in
from diffucurate.plugin.store.media_files import read_image

#: Part of a job -> the sample's field that holds it, where the names differ.
_FIELD_OF = {"size": "metadata"}

#: Parts that all jobs of a recipe share, so that their values are known without the sample.
_COMMON = ("model", "steps", "guidance")


def painted_job(sample: fo.Sample, recipe: Recipe, verb: str) -> tuple[Job, tuple[str, ...]]:
    """The job that was painted, and the fields whose values differ from it now.

    Args:
        sample: with all its fields.
        recipe: of the run that painted it.
        verb: of that run.

    Raises:
        DatasetError: too much was changed to identify the job.
    """
    described, job_id = _job_in_fields(sample, recipe), sample[field_names.JOB_ID]
    if described.job_id == job_id:
        return _as_painted(described, sample), ()
    for job in _candidates(described, recipe, verb):
        if job.job_id == job_id:
            parts = [name for name in vars(job) if name not in ("job_id", "phrases")]
            changed = [name for name in parts if getattr(described, name) != getattr(job, name)]
            return _as_painted(job, sample), tuple(_FIELD_OF.get(name, name) for name in changed)
    raise DatasetError(
        f"sample {sample.id} was changed since it was painted: neither its fields nor its run "
        f"'{sample[field_names.RUN_KEY]}' lead to job {job_id}, so what was painted cannot be told"
    )


def _planned_seed(sample: fo.Sample) -> int | None:
    """The seed by which the job has its id, where another one made the image."""
    painted = sample[field_names.PAINTED] if sample.has_field(field_names.PAINTED) else None
    if painted is None or not painted.has_field(field_names.PLANNED_SEED):
        return None
    return int(painted[field_names.PLANNED_SEED])


def _as_painted(job: Job, sample: fo.Sample) -> Job:
    """The job with the seed that made the image, under the id of its own seed.

    Raises:
        DatasetError: the sample's seed is none that the job can have been painted with.
    """
    if _planned_seed(sample) is None:
        return job
    seed = sample[field_names.SEED]
    if seed not in retry_seeds(job.job_id):
        raise DatasetError(
            f"sample {sample.id} was changed since it was painted: its job {job.job_id} was never painted with seed "
            f"{seed}, so what was painted cannot be told"
        )
    return replace(job, seed=seed)


def _job_in_fields(sample: fo.Sample, recipe: Recipe) -> Job:
    """The job that the sample's fields describe now."""
    prompt, attributes, caption = sample[field_names.PROMPT] or "", sample[field_names.ATTRIBUTES], caption_in(sample)
    names = attributes.field_names if attributes is not None else ()
    phrases = phrases_of(prompt, recipe.classes, caption)
    planned = _planned_seed(sample)
    return Job.of(
        task=sample[field_names.TASK],
        prompt=prompt,
        negative_prompt=sample[field_names.NEGATIVE_PROMPT] or "",
        phrases=phrases,
        attributes={name: attributes[name] for name in names if attributes[name] is not None},
        seed=sample[field_names.SEED] if planned is None else planned,
        # Metadata can be cleared and computed again at any time; without them the recipe still knows.
        size=_size_of(sample, recipe),
        steps=sample[field_names.STEPS],
        guidance=sample[field_names.GUIDANCE],
        model=sample[field_names.MODEL],
        model_options=recipe.model_options,
        source=init_image_in(sample),
        caption=caption,
        canvas=canvas_in(sample, recipe.classes),
        layout=layout_in(sample),
        guide=guide_of(recipe.guide, recipe.guide_weight or DEFAULT_WEIGHT, phrases),
    )


def _size_of(sample: fo.Sample, recipe: Recipe) -> tuple[int, int]:
    if sample.metadata is not None:
        return sample.metadata.width, sample.metadata.height
    if recipe.sizes:
        return recipe.sizes[0]
    try:
        height, width = read_image(sample.filepath).shape[:2]
    except OSError as error:
        raise DatasetError(
            f"the size of sample {sample.id} is not known: its metadata and its image file are gone"
        ) from error
    return width, height


def _candidates(described: Job, recipe: Recipe, verb: str) -> Iterator[Job]:
    """The jobs that may have been painted where the fields describe another."""
    common = {"task": recipe.painting_task, **{name: getattr(recipe, name) for name in _COMMON}}
    for size in recipe.sizes or (described.size,):
        yield altered(described, **common, size=size, negative_prompt=negative_prompt(recipe, described.attributes))
    if verb == "generate" and recipe.source is None:
        with suppress(RecipeError):  # a file of captions may be gone or changed by now
            yield from jobs(recipe)
    elif verb == "generate":
        for choice in choices(recipe.model_copy(update={"sample": "all"})):
            yield job_of(recipe, choice, choice.size or described.size, described.source, described.layout)
