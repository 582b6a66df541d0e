"""A recipe whose images are painted by masks -> its jobs, and the samples whose labels cannot be used, with the reason.

A job's id depends on the mask, so each is read once to plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from diffucurate.generator.errors import ImageError
from diffucurate.generator.jobs.jobs import Choice, Job, choices, job_of, phrases_of
from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.recipe.layout import LayoutSource
from diffucurate.generator.recipe.layout_config import LABELS, PLACE
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.recipe.sizes import Size
from diffucurate.generator.text.label_list import label_list
from diffucurate.plugin.generation.init_plan import READ, InitPlan
from diffucurate.plugin.generation.init_prompts import Item, items_of, source_samples
from diffucurate.plugin.generation.layout_reader import LayoutReader, digest_of, layout_of, size_of
from diffucurate.plugin.store.label_fields import label_field
from diffucurate.plugin.store.label_objects import LabelledObject
from diffucurate.plugin.store.samples import dataset_of


def plan_layouts(
    recipe: Recipe,
    reader: LayoutReader,
    model_size: Callable[[Size], Size],
    count: int | None = None,
    progress: Listener | None = None,
) -> InitPlan:
    """The jobs of a recipe whose images are painted by masks.

    Args:
        recipe: of task mask2img, whose source is a dataset.
        reader: reads the masks.
        model_size: (width, height) of a mask -> that of what is painted by it, where the recipe says no size.
        count: at most so many jobs.
        progress: called before each mask is read; whatever it raises ends the plan.

    Raises:
        DatasetError: there is no such dataset, view or field.
    """
    assert recipe.layout is not None and recipe.layout.field is not None
    samples = source_samples(recipe)
    dataset, plan, field = dataset_of(samples), InitPlan(), recipe.layout.field
    label_field(dataset, field)
    items = items_of(recipe, dataset, samples, plan.failed)
    meter, objects, last = Meter(progress, len(items), READ), list[LabelledObject](), -1
    seen: set[str] = set()
    for choice in choices(recipe, len(items)):
        if count is not None and len(plan.jobs) >= count:
            break
        item = items[choice.init_image]
        if item.sample_id in plan.failed:
            continue
        sample = dataset[item.sample_id]
        try:
            if choice.init_image != last:
                last = choice.init_image
                meter.reach(last)
                objects = reader.objects(dataset.name, sample, field)
            size = choice.size or model_size(size_of(sample))
            job = _job(recipe, choice, item, objects, size, dataset.name)
        except ImageError as error:
            reason = str(error)
            plan.failed[item.sample_id] = (
                reason if reason.startswith(sample.filepath) else f"{sample.filepath}: {reason}"
            )
            continue
        if job.job_id not in seen:  # two samples can have the same mask
            seen.add(job.job_id)
            plan.jobs.append(job)
            plan.source_ids[job.job_id] = item.sample_id
    return plan


def _job(
    recipe: Recipe, choice: Choice, item: Item, objects: Sequence[LabelledObject], size: Size, dataset: str
) -> Job:
    assert recipe.layout is not None and recipe.layout.field is not None
    words = label_list([each.label for each in objects], recipe.classes)
    if not words:
        there = ", ".join(sorted({each.label for each in objects})) or "nothing"
        raise ImageError(f"'{recipe.layout.field}' has none of the classes {', '.join(recipe.classes)}; it has {there}")
    filled = choice._replace(
        prompt=choice.prompt.replace(PLACE, words),
        values={name: words if name == LABELS else value for name, value in choice.values.items()},
    )
    phrases = phrases_of(filled.prompt, recipe.classes)
    if not any(each.label in phrases for each in objects):
        raise ImageError(f"the prompt '{filled.prompt}' names no class of '{recipe.layout.field}'; use {PLACE} in it")
    layout = layout_of(objects, tuple(phrases), size)
    options = {name: getattr(recipe.layout, name) for name in ("until", "boost", "words", "guide")}
    source = LayoutSource(dataset, item.sample_id, recipe.layout.field, digest_of(layout), **options)
    return job_of(recipe, filled, size, layout=source)
