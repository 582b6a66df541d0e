"""A recipe whose images start from init images -> its jobs, and the init images that cannot be used, with the reason.

A job's id depends on the pixels that it starts from, so each init image is read once to plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from diffucurate.generator.errors import ImageError
from diffucurate.generator.jobs.jobs import Job, job_of
from diffucurate.generator.progress import Listener, Meter
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.recipe.sizes import Size
from diffucurate.plugin.generation.init_prompts import Item, items_of, source_samples, starts_of
from diffucurate.plugin.generation.init_reader import InitImageReader
from diffucurate.plugin.generation.init_sources import own_labels
from diffucurate.plugin.generation.starts import Start
from diffucurate.plugin.store.label_fields import label_field
from diffucurate.plugin.store.samples import dataset_of

#: What is counted while a plan is made.
READ = "init images read"


@dataclass
class InitPlan:
    """``source_ids``: job id -> the sample it starts from; ``failed``: sample id -> why it cannot be used."""

    jobs: list[Job] = field(default_factory=list)
    source_ids: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def plan_init_images(
    recipe: Recipe,
    reader: InitImageReader,
    size_of: Callable[[Size], Size],
    count: int | None = None,
    progress: Listener | None = None,
) -> InitPlan:
    """The jobs of a recipe whose images start from init images.

    Img2img leaves out what would have the init image's own prompt. Of several strengths each job draws one by its own
    content, the same whenever it is planned.

    Args:
        recipe: of task img2img, inpaint or augment.
        reader: reads the init images.
        size_of: (width, height) of an init image -> that of what is painted from it, where the recipe says no size.
        count: at most so many jobs.
        progress: called before each init image is read; whatever it raises ends the plan.

    Raises:
        DatasetError: there is no such dataset, view or field.
        RecipeError: an instance that is in no init image, or values that no init image's template uses.
    """
    samples = source_samples(recipe)
    dataset, plan = dataset_of(samples), InitPlan()
    if recipe.objects is None and (kept := own_labels(recipe)) is not None:
        label_field(dataset, kept)
    items = items_of(recipe, dataset, samples, plan.failed)
    starts = starts_of(recipe, dataset, items, plan.failed)
    seen: set[str] = set()
    meter, last = Meter(progress, len(items), READ), -1
    for start in starts:
        if count is not None and len(plan.jobs) >= count:
            break
        if start.choice.init_image != last:
            last = start.choice.init_image
            meter.reach(last)
        item = items[start.choice.init_image]
        if item.sample_id in plan.failed and item.instance is None:
            continue
        try:
            job = _job(recipe, reader, dataset.name, item, start, size_of)
        except ImageError as error:
            plan.failed.setdefault(item.sample_id, str(error))
            continue
        if job.job_id not in seen:  # two samples can have the same pixels
            seen.add(job.job_id)
            plan.jobs.append(job)
            plan.source_ids[job.job_id] = item.sample_id
    return plan


def _job(
    recipe: Recipe, reader: InitImageReader, dataset: str, item: Item, start: Start, size_of: Callable[[Size], Size]
) -> Job:
    choice, image = start.choice, reader.read(dataset, item.sample_id)
    region = None if recipe.objects is None else reader.region(dataset, image, recipe.objects, item.instance)
    if recipe.augment is not None:
        region = reader.part_region(dataset, image, recipe.augment)
    if recipe.carry is not None:
        reader.objects(dataset, image, recipe.carry)  # raises before anything is painted
    size = choice.size or size_of((image.pixels.shape[1], image.pixels.shape[0]))
    own = (image.digest, None if region is None else region.digest, choice.prompt, choice.seed, size)
    strength = Random(repr(own)).choice(recipe.strengths)
    return job_of(recipe, choice, size, reader.source(dataset, image, strength, region, start.template))
