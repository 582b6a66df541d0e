"""What is painted from init images: a choice for each, spread evenly; and those of augmentation, whose prompts name the
labels of each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, product
from random import Random
from typing import NamedTuple

import fiftyone as fo

from diffucurate.generator.errors import ImageError
from diffucurate.generator.jobs.jobs import Choice
from diffucurate.generator.jobs.sampling import shares
from diffucurate.generator.recipe.amount import Sample
from diffucurate.generator.recipe.augment_config import LABELS
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.label_list import label_list
from diffucurate.generator.text.templates import attributes_of, fill, fixed_in
from diffucurate.plugin.store.label_fields import LabelField, label_field
from diffucurate.plugin.store.samples import all_images, parts_of


class Start(NamedTuple):
    """A choice, and the init image's own template where the prompt was filled from that."""

    choice: Choice
    template: str | None = None


def augmented_starts(
    recipe: Recipe, dataset: fo.Dataset, sample_ids: Sequence[str], failed: dict[str, str]
) -> Iterator[Start]:
    """What is painted from each labelled image: every template with the image's own labels, by every value and seed.

    Args:
        recipe: of task augment.
        dataset: of the images.
        sample_ids: of the images, in the order of the indices of choices.
        failed: sample id -> why an image cannot be used, to which is added.
    """
    if recipe.augment is None:
        return
    field = label_field(dataset, recipe.augment.field)
    wholes = chain.from_iterable(part.select_fields(field.name) for part in parts_of(all_images(dataset), sample_ids))
    starts_of_each = (_of_sample(recipe, field, sample, index, failed) for index, sample in enumerate(wholes))
    if isinstance(recipe.sample, Sample):
        yield from evenly(list(starts_of_each), recipe.sample)
    else:
        yield from chain.from_iterable(starts_of_each)


def _of_sample(recipe: Recipe, field: LabelField, sample: fo.Sample, index: int, failed: dict[str, str]) -> list[Start]:
    from diffucurate.plugin.store.label_objects import labels_in  # with OpenCV, which forms mostly do without

    try:
        labels = [label for _, label in labels_in(sample[field.name], field)]
    except ImageError as error:
        failed[sample.id] = f"{sample.filepath}: {error}"
        return []
    text = label_list(labels, recipe.classes)
    if not text:
        failed[sample.id] = f"{sample.filepath}: '{field.name}' has no label of {', '.join(recipe.classes)}"
        return []
    starts: dict[tuple[object, ...], Start] = {}
    for written in recipe.templates:
        template = written.replace(f"{{{LABELS}}}", text.replace("{", "{{").replace("}", "}}"))
        names = attributes_of(template)
        for row in product(*(recipe.attributes[name] for name in names)):
            values = dict(zip(names, row, strict=True))
            prompt = fill(template, values)
            for seed, size in product(recipe.seed_list, recipe.sizes or (None,)):
                choice = Choice(prompt, {**fixed_in(template), **values}, seed, size, index)
                starts.setdefault((prompt, seed, size), Start(choice, template))
    return list(starts.values())


def evenly(starts_of_each: Sequence[list[Start]], sample: Sample | str) -> list[Start]:
    """All, or as many as the recipe asks for, spread evenly over the init images."""
    if not isinstance(sample, Sample) or sample.count >= sum(map(len, starts_of_each)):
        return [start for starts in starts_of_each for start in starts]
    rng, chosen = Random(sample.seed), []
    counts = shares(sample.count, [len(starts) for starts in starts_of_each])
    for starts, count in zip(starts_of_each, counts, strict=True):
        chosen += [starts[index] for index in sorted(rng.sample(range(len(starts)), count))]
    return chosen
