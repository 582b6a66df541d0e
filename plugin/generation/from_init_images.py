"""The part of ``generate`` for images that start from those of a dataset, whole or in part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fiftyone as fo

from diffucurate.generator.progress import announce
from diffucurate.plugin.generation.init_plan import plan_init_images
from diffucurate.plugin.generation.init_prompts import nothing_to_paint, source_samples
from diffucurate.plugin.generation.init_sources import own_labels
from diffucurate.plugin.generation.layout_plan import plan_layouts
from diffucurate.plugin.generation.paint_and_store import job_ids
from diffucurate.plugin.generation.paint_options import PaintOptions
from diffucurate.plugin.generation.prepare import opened, run_settings
from diffucurate.plugin.generation.values_used import announce_values
from diffucurate.plugin.store.label_fields import label_field, labels_of
from diffucurate.plugin.store.samples import dataset_of

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe


def generate_from(
    recipe: Recipe,
    existing: fo.Dataset | None,
    *,
    written: Recipe,
    options: PaintOptions,
) -> fo.Dataset:
    """Paint what the recipe asks for and ``existing`` does not hold yet; see ``generate``, whose errors these are.

    ``written`` is the recipe before its model completed it.
    """
    source_samples(recipe)  # raises before a model is loaded
    progress = options.progress
    with options.session(recipe) as session:
        if recipe.layout is not None:
            plan = plan_layouts(recipe, session.layouts, session.size_of, options.count, progress)
        else:
            plan = plan_init_images(recipe, session.reader, session.size_of, options.count, progress)
        if not plan.jobs:
            raise nothing_to_paint(recipe, plan.failed)
        painted = set() if existing is None else job_ids(existing)
        todo = [job for job in plan.jobs if job.job_id not in painted]
        if existing is not None and not todo:
            for reason in plan.failed.values():
                announce(progress, f"left out {reason}")
            return existing
        announce_values(written, recipe, len(todo), progress)
        kept_classes = _kept_classes(recipe)
        with opened(existing, recipe.dataset) as dataset:
            session.paint(
                dataset,
                todo,
                verb="generate",
                settings=run_settings(recipe, options.count),
                facts={"asked": len(plan.jobs)},
                batch_size=options.batch_size,
                share=options.share,
                source_ids=plan.source_ids,
                failed=plan.failed,
                kept_classes=kept_classes,
                progress=progress,
            )
    return dataset


def _kept_classes(recipe: Recipe) -> list[str]:
    """The labels of the init images' own instances that are kept."""
    name, samples = own_labels(recipe), source_samples(recipe)
    return [] if name is None else labels_of(samples, label_field(dataset_of(samples), name))
