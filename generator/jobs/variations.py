"""Variations of a job: the same prompt with another seed, or its template filled with other values.

Knows jobs and recipes; which variations there are already is the caller's matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.jobs.jobs import Job, negative_prompt, phrases_of
from diffucurate.generator.recipe.guide import DEFAULT_WEIGHT, guide_of
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.text.templates import attributes_of, fill, loosened

Changes = Mapping[str, Sequence[str]]


def template_of(job: Job, recipe: Recipe) -> str:
    """The template that leads to the job's prompt: the recipe's or the init image's own, with values that it fixes left
    open, or the caption.

    Raises:
        InvalidSetting: none does.
    """
    if job.source is not None and job.source.template is not None:
        return job.source.template
    if job.caption is not None:  # nothing in it is a place for a value
        return job.prompt.replace("{", "{{").replace("}", "}}")
    for template in map(loosened, recipe.templates):
        if set(attributes_of(template)) == set(job.attributes) and fill(template, job.attributes) == job.prompt:
            return template
    raise InvalidSetting("templates", job.prompt, "no template of the recipe leads to this prompt")


def altered(job: Job, **content: Any) -> Job:
    """The job with other content, and the id that follows from it."""
    before = {name: value for name, value in vars(job).items() if name != "job_id"}
    return Job.of(**{**before, **content})


def refilled(job: Job, recipe: Recipe, changes: Changes) -> Iterator[Job]:
    """The job with every choice of other values for its attributes, in the order listed, and the job's own seed.

    Args:
        job: one that ``recipe`` led to, at once or by way of other variations.
        recipe: whose template is filled and whose classes are looked for.
        changes: attribute -> values; those that the job's template does not use change nothing.

    Raises:
        InvalidSetting: no class is found any more in the prompt that a new value leads to.
    """
    template = template_of(job, recipe)
    axes = {name: values for name, values in changes.items() if name in attributes_of(template)}
    for choice in product(*axes.values()):
        chosen = dict(zip(axes, choice, strict=True))
        values = {**job.attributes, **chosen}
        prompt = fill(template, values)
        phrases = phrases_of(prompt, recipe.classes, job.caption)
        strange = [name for name, value in chosen.items() if value not in recipe.attributes.get(name, ())]
        if job.phrases and not phrases and strange:  # what the recipe lists may well name no class
            alone = {name: fill(template, {**job.attributes, name: chosen[name]}) for name in strange}
            name = next((name for name in strange if not find_phrases(alone[name], recipe.classes)), strange[0])
            remedy = f"'{prompt}' names none of the classes ({', '.join(recipe.classes)}); use a value that keeps one"
            raise InvalidSetting(f"attributes.{name}", chosen[name], remedy)
        negative = negative_prompt(recipe, values)
        guide = guide_of(recipe.guide, recipe.guide_weight or DEFAULT_WEIGHT, phrases)
        changed = {"prompt": prompt, "negative_prompt": negative, "attributes": values, "phrases": phrases}
        yield altered(job, **changed, guide=guide)
