"""A recipe becomes jobs: one job says everything needed to make one image, and nothing else.

Knows nothing of models or datasets. The order of jobs, the sample and the ids are the same on every run,
so that a set which was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from random import Random
from typing import Any

from diffucurate.generator.phrases import find_phrases
from diffucurate.generator.recipe import Recipe, Sample, Size
from diffucurate.generator.sampling import balanced_rows, even_targets, shares
from diffucurate.generator.setups import Setup
from diffucurate.generator.templates import attributes_of, fill, fixed_in

__all__ = ["Job", "count_jobs", "find_phrases", "jobs"]


@dataclass(frozen=True)
class Job:
    """One image to be made.

    ``job_id`` is 16 hex digits over all the other fields. ``phrases`` holds the classes that occur in this very
    prompt with the phrases of each that do, ``attributes`` the values this prompt was filled with; ``size`` is
    (width, height) in pixels, ``setup`` what is changed about the model.
    """

    job_id: str
    task: str
    prompt: str
    negative_prompt: str
    phrases: dict[str, tuple[str, ...]]
    attributes: dict[str, str]
    seed: int
    size: tuple[int, int]
    steps: int
    guidance: float
    model: str
    setup: Setup = field(default_factory=Setup)

    @classmethod
    def of(cls, **content: Any) -> Job:
        """A job from all fields but the id, which follows from them."""
        # The order in which a recipe lists phrases changes no pixel, so it must not change the id.
        phrases = {label: sorted(phrases) for label, phrases in content["phrases"].items()}
        # What is left at its default is left out, so that ids outlive the fields that are added to a job.
        setup = {"setup": content["setup"].to_dict()} if content.get("setup") else {}
        plain = {name: value for name, value in content.items() if name != "setup"}
        text = json.dumps({**plain, **setup, "phrases": phrases}, sort_keys=True, separators=(",", ":"))
        return cls(job_id=hashlib.sha256(text.encode()).hexdigest()[:16], **content)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON and databases."""
        phrases = {label: list(phrases) for label, phrases in self.phrases.items()}
        return {**vars(self), "phrases": phrases, "size": list(self.size), "setup": self.setup.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """The job that ``to_dict`` wrote."""
        phrases = {label: tuple(phrases) for label, phrases in data["phrases"].items()}
        own = {"phrases": phrases, "attributes": dict(data["attributes"]), "size": tuple(data["size"])}
        return cls(**{**data, **own, "setup": Setup.from_dict(data.get("setup", {}))})


def jobs(recipe: Recipe) -> list[Job]:
    """All jobs of a recipe, or its balanced sample of them: templates, then attributes, then seeds, as it lists them.

    A prompt that several templates or values lead to is made once per seed.
    """
    return [
        Job.of(
            task=recipe.task,
            prompt=prompt,
            negative_prompt=negative_prompt(recipe, values),
            phrases=find_phrases(prompt, recipe.classes),
            attributes=values,
            seed=seed,
            size=size,
            steps=recipe.steps,
            guidance=recipe.guidance,
            model=recipe.model,
            setup=recipe.setup,
        )
        for prompt, values, (seed, size) in _choices(recipe)
    ]


def negative_prompt(recipe: Recipe, values: Mapping[str, str]) -> str:
    """The recipe's negative prompt for an image of these attributes."""
    text = recipe.negative_prompt
    return fill(text, values) if "{" in text or "}" in text else text


def count_jobs(recipe: Recipe) -> int:
    """How many jobs ``jobs`` would make; fills the templates, but builds none."""
    return sum(1 for _ in _choices(recipe))


_Variant = tuple[int, Size]
_Choice = tuple[str, dict[str, str], _Variant]


def _variants(recipe: Recipe) -> list[_Variant]:
    """The seeds and sizes that each prompt is painted with."""
    return list(product(recipe.seed_list, recipe.sizes))


def _choices(recipe: Recipe) -> Iterator[_Choice]:
    """Each prompt with its values, seed and size, once."""
    if isinstance(recipe.sample, Sample) and recipe.sample.count < recipe.product_size:
        yield from _sampled(recipe, recipe.sample)
    else:
        yield from _distinct(_everything(recipe))


def _everything(recipe: Recipe) -> Iterator[_Choice]:
    variants = _variants(recipe)
    for template in recipe.templates:
        names = _axes(recipe, template)
        for choice in product(*(recipe.attributes[name] for name in names)):
            values = dict(zip(names, choice, strict=True))
            prompt = fill(template, values)
            for variant in variants:
                yield prompt, {**fixed_in(template), **values}, variant


def _axes(recipe: Recipe, template: str) -> list[str]:
    """The attributes of a template in the order of the recipe's."""
    used = set(attributes_of(template))
    return [name for name in recipe.attributes if name in used]


def _distinct(choices: Iterator[_Choice]) -> Iterator[_Choice]:
    seen: set[tuple[str, _Variant]] = set()
    for prompt, values, variant in choices:
        if (prompt, variant) not in seen:
            seen.add((prompt, variant))
            yield prompt, values, variant


def _sampled(recipe: Recipe, sample: Sample) -> Iterator[_Choice]:
    """Templates share the count evenly; within each, every value of every attribute, every seed and every size does."""
    rng = Random(sample.seed)
    seeds, sizes = recipe.seed_list, recipe.sizes
    used = {name: [0] * len(values) for name, values in recipe.attributes.items()}
    used_variants = [[0] * len(axis) for axis in ((seeds, sizes) if len(sizes) > 1 else (seeds,))]
    capacities = [
        prod(len(recipe.attributes[name]) for name in attributes_of(text)) * len(seeds) * len(sizes)
        for text in recipe.templates
    ]
    picked: list[_Choice] = []
    for template, count in zip(recipe.templates, shares(sample.count, capacities), strict=True):
        names = _axes(recipe, template)
        counters = [*(used[name] for name in names), *used_variants]
        targets = [even_targets(count, counter, rng) for counter in counters]
        for counter, target in zip(counters, targets, strict=True):
            counter[:] = [before + now for before, now in zip(counter, target, strict=True)]
        for row in sorted(balanced_rows(targets, rng)):
            values = {name: recipe.attributes[name][index] for name, index in zip(names, row, strict=False)}
            seed, size = (*row[len(names) :], 0)[:2]  # the only size is no axis
            picked.append((fill(template, values), {**fixed_in(template), **values}, (seeds[seed], sizes[size])))
    # Two templates can lead to one prompt: fill the gaps that leaves with whatever comes first.
    chosen = list(_distinct(iter(picked)))
    if len(chosen) < sample.count:
        chosen += _others(recipe, chosen, sample.count - len(chosen))
    yield from chosen


def _others(recipe: Recipe, chosen: list[_Choice], count: int) -> Iterator[_Choice]:
    seen = {(prompt, variant) for prompt, _, variant in chosen}
    for choice in _distinct(_everything(recipe)):
        if count and (choice[0], choice[2]) not in seen:
            count -= 1
            yield choice
        elif not count:
            return
