"""The part of ``generate`` for images that start from the pictures of a dataset, whole or in part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, RecipeError
from diffucurate.generator.progress import Progress
from diffucurate.plugin.comparison.compare import compare
from diffucurate.plugin.generation.generate import SOURCE, prepare
from diffucurate.plugin.generation.init_labels import CARRIED, InitLabels, label_sources, own_labels
from diffucurate.plugin.generation.init_plan import InitPlan, plan_init_images, source_samples
from diffucurate.plugin.generation.init_reader import InitImageReader
from diffucurate.plugin.generation.paint_and_store import job_ids, note_failure, paint_into
from diffucurate.plugin.progress import Listener
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.label_fields import label_field, labels_of
from diffucurate.plugin.store.samples import dataset_of, declare_init_fields

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe
    from diffucurate.generator.recipe.sizes import Size


def generate_from(
    recipe: Recipe,
    existing: fo.Dataset | None,
    settings: dict[str, Any],
    *,
    count: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> None:
    """Paint what the recipe asks for and ``existing`` does not hold yet; see ``generate``, whose errors these are."""
    source_samples(recipe)  # whatever is wrong with them is said before a model is loaded

    from diffucurate.generator.models.adapters import adapted
    from diffucurate.generator.models.load import check_size, load_pipeline, nearest_size
    from diffucurate.generator.painting.img2img import for_task

    pipe = load_pipeline(recipe.model, device)
    for size in recipe.sizes:
        check_size(pipe, size)
    with adapted(pipe, recipe.model_options):
        for strength in recipe.strengths:
            for_task(pipe, recipe.task, strength)

    def size_of(size: Size) -> Size:
        return nearest_size(pipe, size)

    reader = InitImageReader()
    plan = plan_init_images(recipe, reader, size_of, count, progress)
    _check_plan(plan, recipe)
    done = job_ids(existing) if existing is not None else set()
    todo = [job for job in plan.jobs if job.job_id not in done]
    if existing is not None and not todo:
        for reason in plan.failed.values():
            _tell(progress, 0, reason)
        return
    dataset = existing if existing is not None else fo.Dataset(recipe.dataset)
    sources = (SOURCE, *label_sources(recipe))
    attributes = dict.fromkeys(name for job in todo for name in job.attributes)
    classes = prepare(dataset, recipe, sources=sources, others=_kept_classes(recipe), attributes=list(attributes))
    declare_init_fields(dataset)
    with runs.recorded(dataset, "generate", settings, key=runs.unfinished(dataset, "generate", settings)) as run:
        run.facts["asked"] = len(plan.jobs)
        for sample_id, reason in plan.failed.items():
            note_failure(run, sample_id, reason)
            _tell(progress, len(todo), reason)
        paint_into(
            dataset,
            todo,
            run,
            pipe=pipe,
            classes=classes,
            batch_size=batch_size,
            source_ids=plan.source_ids,
            pictures=reader,
            labels=InitLabels(recipe, reader),
            progress=progress,
        )
    store_agreement(dataset, recipe)


def store_agreement(dataset: fo.Dataset, recipe: Recipe) -> None:
    """How far the new labels and those carried over agree, on all images of the dataset that have both."""
    if recipe.carry is not None:
        compare(dataset.exists(field_names.instances(CARRIED)), SOURCE, CARRIED)


def _check_plan(plan: InitPlan, recipe: Recipe) -> None:
    if plan.jobs:
        return
    if plan.failed:
        raise DatasetError(f"none of the pictures can be used: {next(iter(plan.failed.values()))}")
    raise RecipeError(
        "attributes", dict(recipe.attributes), "every picture has these values already; name others to change"
    )


def _kept_classes(recipe: Recipe) -> list[str]:
    """The labels of the pictures' own instances that are kept."""
    name, samples = own_labels(recipe), source_samples(recipe)
    return [] if name is None else labels_of(samples, label_field(dataset_of(samples), name))


def _tell(progress: Listener | None, total: int, reason: str) -> None:
    if progress is not None:
        progress(Progress(0, total, 0.0, float("inf"), f"left out {reason}"))
