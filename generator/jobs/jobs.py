"""A recipe becomes jobs: one job says everything needed to make one image, and nothing else.

Knows nothing of models or datasets. The order of jobs, the sample and the ids are the same on every run,
so that a set which was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from math import prod
from random import Random
from typing import Any, NamedTuple

from diffucurate.generator.captions.prompts import CaptionPrompt, balanced, caption_prompts
from diffucurate.generator.captions.source import CaptionSource
from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.canvases import canvases, count_canvases
from diffucurate.generator.jobs.sampling import balanced_rows, even_targets, shares
from diffucurate.generator.recipe.amount import MAX_JOBS, Sample
from diffucurate.generator.recipe.by_model import BY_MODEL
from diffucurate.generator.recipe.canvas import Canvas
from diffucurate.generator.recipe.guide import DEFAULT_WEIGHT, Guide, guide_of
from diffucurate.generator.recipe.init_image import InitImage
from diffucurate.generator.recipe.layout import LayoutSource
from diffucurate.generator.recipe.model_options import ModelOptions
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.recipe.sizes import Size
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.text.templates import attributes_of, fill, fixed_in

__all__ = ["Job", "count_jobs", "find_phrases", "jobs"]


@dataclass(frozen=True)
class Job:
    """One image to be made.

    ``job_id`` is 16 hex digits over all the other fields. ``phrases`` holds the classes that occur in this very
    prompt with the phrases of each that do, ``attributes`` the values this prompt was filled with; ``size`` is
    (width, height) in pixels, ``model_options`` what is changed about the model, ``source`` the init image,
    ``caption`` the caption that the prompt was made of, ``canvas`` the regions that it is painted in, ``layout`` the
    mask that it is painted by, ``guide`` where its classes are to be. With a class prompt, ``phrases`` are those in
    that and in the caption.
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
    model_options: ModelOptions = field(default_factory=ModelOptions)
    source: InitImage | None = None
    caption: CaptionSource | None = None
    canvas: Canvas | None = None
    layout: LayoutSource | None = None
    guide: Guide | None = None

    @property
    def class_prompt(self) -> str | None:
        """The text that the pixels are attributed by; None where the prompt's own words do that."""
        return None if self.caption is None else self.caption.class_prompt

    @classmethod
    def of(cls, **content: Any) -> Job:
        """A job from all fields but the id, which follows from them."""
        # The order in which a recipe lists phrases changes no pixel, so it must not change the id.
        phrases = {label: sorted(phrases) for label, phrases in content["phrases"].items()}
        # What is left at its default is left out, so that ids outlive the fields that are added to a job.
        options = content["model_options"].to_dict() if "model_options" in content else {}
        setup = {"setup": options} if options else {}
        source = {"source": content["source"].content()} if content.get("source") else {}
        caption = content["caption"].content() if content.get("caption") else {}
        canvas = content["canvas"].content() if content.get("canvas") else {}
        layout = content["layout"].content() if content.get("layout") else {}
        guide = content["guide"].content() if content.get("guide") else {}
        parts = ("model_options", "source", "caption", "canvas", "layout", "guide")
        plain = {name: value for name, value in content.items() if name not in parts}
        whole = {**plain, **setup, **source, **caption, **canvas, **layout, **guide, "phrases": phrases}
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
        return cls(job_id=hashlib.sha256(text.encode()).hexdigest()[:16], **content)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON and databases."""
        phrases = {label: list(phrases) for label, phrases in self.phrases.items()}
        own = {"setup" if name == "model_options" else name: value for name, value in vars(self).items()}
        plain = {**own, "phrases": phrases, "size": list(self.size), "setup": self.model_options.to_dict()}
        names = ("source", "caption", "canvas", "layout", "guide")
        origins = {name: getattr(self, name) for name in names}
        return {**plain, **{name: None if origin is None else origin.to_dict() for name, origin in origins.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """The job that ``to_dict`` wrote."""
        phrases = {label: tuple(phrases) for label, phrases in data["phrases"].items()}
        own = {"phrases": phrases, "attributes": dict(data["attributes"]), "size": tuple(data["size"])}
        source = None if data.get("source") is None else InitImage.from_dict(data["source"])
        caption = None if data.get("caption") is None else CaptionSource.from_dict(data["caption"])
        canvas = None if data.get("canvas") is None else Canvas.from_dict(data["canvas"])
        layout = None if data.get("layout") is None else LayoutSource.from_dict(data["layout"])
        guide = None if data.get("guide") is None else Guide.from_dict(data["guide"])
        options = ModelOptions.from_dict(data.get("setup", {}))
        kept = {name: value for name, value in data.items() if name != "setup"}
        origins = {"source": source, "caption": caption, "canvas": canvas, "layout": layout, "guide": guide}
        return cls(**{**kept, **own, **origins, "model_options": options})


def jobs(recipe: Recipe, count: int | None = None) -> list[Job]:
    """All jobs of a recipe, or its balanced sample of them: templates, then attributes, then seeds, as it lists them;
    of captions, these in their order, then seeds. With ``count`` the first so many, without making the others.

    A prompt that several templates or values lead to is made once per seed. Of a recipe with a source there are none:
    ``choices`` says what is painted from each of its images.

    Raises:
        RecipeError: what is wrong with a file of captions, or there are too many of them; or size, steps or guidance
            are left to the model, which ``generator.models.completed`` fills in first.
    """
    _check_complete(recipe, BY_MODEL)
    if recipe.source is not None:
        return []
    if recipe.canvas is not None:
        return list(islice(_canvas_jobs(recipe), count))
    sized = ((choice, choice.size) for choice in choices(recipe) if choice.size is not None)
    return [job_of(recipe, choice, size) for choice, size in islice(sized, count)]


class Choice(NamedTuple):
    """One image of a recipe: its prompt, the values in that, and what else it is painted with.

    ``size`` is None where it is the init image's; ``init_image`` is the index of that. ``caption`` is what the prompt
    was made of, ``canvas`` where it is painted.
    """

    prompt: str
    values: dict[str, str]
    seed: int
    size: Size | None = None
    init_image: int = 0
    caption: CaptionSource | None = None
    canvas: Canvas | None = None


def job_of(
    recipe: Recipe, choice: Choice, size: Size, source: InitImage | None = None, layout: LayoutSource | None = None
) -> Job:
    """The job of a choice, at this (width, height), from this init image or by this mask.

    Raises:
        RecipeError: steps or guidance are left to the model.
    """
    _check_complete(recipe, ("steps", "guidance"))
    phrases = phrases_of(choice.prompt, recipe.classes, choice.caption)
    return Job.of(
        task=recipe.painting_task,
        prompt=choice.prompt,
        negative_prompt=negative_prompt(recipe, choice.values),
        phrases=phrases,
        attributes=choice.values,
        seed=choice.seed,
        size=size,
        steps=recipe.steps,
        guidance=recipe.guidance,
        model=recipe.model,
        model_options=recipe.model_options,
        source=source,
        caption=choice.caption,
        canvas=choice.canvas,
        layout=layout,
        guide=guide_of(recipe.guide, recipe.guide_weight or DEFAULT_WEIGHT, phrases),
    )


def _canvas_jobs(recipe: Recipe) -> Iterator[Job]:
    for planned in canvases(recipe):
        choice = Choice(planned.prompt, planned.values, planned.seed, canvas=planned.canvas)
        yield job_of(recipe, choice, planned.size)


def _check_complete(recipe: Recipe, names: Iterable[str]) -> None:
    for name in names:
        if getattr(recipe, name) is None:
            raise RecipeError(name, None, f"it follows from model '{recipe.model}', and no job has it; name a value")


def phrases_of(
    prompt: str, classes: Mapping[str, Sequence[str]], caption: CaptionSource | None = None
) -> dict[str, tuple[str, ...]]:
    """The classes that are looked for in an image, with the phrases that find them: in the prompt, or in the class
    prompt and the caption."""
    if caption is None or caption.class_prompt is None:
        return find_phrases(prompt, classes)
    mentioned = find_phrases(f"{caption.class_prompt}. {caption.text}", classes)
    return {label: phrases for label, phrases in mentioned.items() if label in caption.classes}


def negative_prompt(recipe: Recipe, values: Mapping[str, str]) -> str:
    """The recipe's negative prompt for an image of these attributes."""
    text = recipe.negative_prompt
    return fill(text, values) if "{" in text or "}" in text else text


def count_jobs(recipe: Recipe) -> int:
    """How many jobs a recipe makes, for each init image where it has those; fills templates, but builds no job."""
    if recipe.canvas is not None:
        return count_canvases(recipe)
    return sum(1 for _ in choices(recipe))


def choices(recipe: Recipe, init_images: int = 1) -> Iterator[Choice]:
    """Each image of a recipe once, or its balanced sample: init image by init image, each as often as any other."""
    if recipe.captions is not None:
        yield from _captioned(recipe)
    elif isinstance(recipe.sample, Sample) and recipe.sample.count < init_images * recipe.product_size:
        yield from _sampled(recipe, recipe.sample, init_images)
    else:
        for init_image in range(init_images):
            yield from _distinct(_everything(recipe, init_image))


def _variants(recipe: Recipe) -> list[tuple[int, Size | None]]:
    """The seeds and sizes that each prompt is painted with."""
    return list(product(recipe.seed_list, recipe.sizes or (None,)))


def _everything(recipe: Recipe, init_image: int) -> Iterator[Choice]:
    variants = _variants(recipe)
    for template in recipe.checked_templates:
        names = _axes(recipe, template)
        for chosen in product(*(recipe.attributes[name] for name in names)):
            values = dict(zip(names, chosen, strict=True))
            prompt = fill(template, values)
            for seed, size in variants:
                yield Choice(prompt, {**fixed_in(template), **values}, seed, size, init_image)


def _captioned(recipe: Recipe) -> Iterator[Choice]:
    """Caption by caption. A sample takes classes, seeds and sizes evenly, and no caption twice while others wait."""
    if recipe.captions is None:
        return
    prompts, variants = caption_prompts(recipe.captions, recipe.classes).prompts, _variants(recipe)
    total = len(prompts) * len(variants)
    if isinstance(recipe.sample, Sample) and recipe.sample.count < total:
        order = list(islice(balanced(prompts, recipe.sample.seed), recipe.sample.count))
        rounds = ((place, turn) for turn in range(len(variants)) for place in range(len(order)))
        chosen = [(order[place], (place + turn) % len(variants)) for place, turn in islice(rounds, recipe.sample.count)]
        yield from (_caption_choice(prompts[index], *variants[variant]) for index, variant in sorted(chosen))
        return
    if total > MAX_JOBS:
        remedy = f"captions and seeds make {total:,} images, more than {MAX_JOBS:,}; take a part with {{count: 1000}}"
        raise RecipeError("sample", "all", remedy)
    yield from (_caption_choice(prompt, *variant) for prompt in prompts for variant in variants)


def _caption_choice(prompt: CaptionPrompt, seed: int, size: Size | None) -> Choice:
    return Choice(prompt.prompt, {}, seed, size, caption=prompt.source)


def _axes(recipe: Recipe, template: str) -> list[str]:
    """The attributes of a template in the order of the recipe's."""
    used = set(attributes_of(template))
    return [name for name in recipe.attributes if name in used]


def _painted_as(choice: Choice) -> tuple[Any, ...]:
    """What decides the image: all but the values, which two templates may name differently."""
    return choice.prompt, choice.seed, choice.size, choice.init_image


def _distinct(repeated: Iterable[Choice]) -> Iterator[Choice]:
    seen: set[tuple[Any, ...]] = set()
    for choice in repeated:
        if _painted_as(choice) not in seen:
            seen.add(_painted_as(choice))
            yield choice


def _sampled(recipe: Recipe, sample: Sample, init_images: int) -> Iterator[Choice]:
    """Templates share the count evenly; within each, every value of every attribute, every seed and every size does."""
    rng = Random(sample.seed)
    seeds, sizes = recipe.seed_list, recipe.sizes or (None,)
    others = [axis for axis in (sizes, range(init_images)) if len(axis) > 1]  # a single one is no axis
    used = {name: [0] * len(values) for name, values in recipe.attributes.items()}
    used_variants = [[0] * len(axis) for axis in (seeds, *others)]
    variants = len(seeds) * len(sizes) * init_images
    capacities = [
        prod(len(recipe.attributes[name]) for name in attributes_of(text)) * variants
        for text in recipe.checked_templates
    ]
    picked: list[Choice] = []
    for template, count in zip(recipe.checked_templates, shares(sample.count, capacities), strict=True):
        names = _axes(recipe, template)
        counters = [*(used[name] for name in names), *used_variants]
        targets = [even_targets(count, counter, rng) for counter in counters]
        for counter, target in zip(counters, targets, strict=True):
            counter[:] = [before + now for before, now in zip(counter, target, strict=True)]
        for row in sorted(balanced_rows(targets, rng)):
            values = {name: recipe.attributes[name][index] for name, index in zip(names, row, strict=False)}
            seed, *rest = row[len(names) :]
            size = sizes[rest.pop(0)] if len(sizes) > 1 else sizes[0]
            whole = {**fixed_in(template), **values}
            picked.append(Choice(fill(template, values), whole, seeds[seed], size, rest[0] if rest else 0))
    # Two templates can lead to one prompt: fill the gaps that leaves with whatever comes first.
    chosen = list(_distinct(picked))
    if len(chosen) < sample.count:
        chosen += _others(recipe, chosen, sample.count - len(chosen), init_images)
    yield from sorted(chosen, key=lambda choice: choice.init_image)


def _others(recipe: Recipe, chosen: list[Choice], count: int, init_images: int) -> Iterator[Choice]:
    seen = {_painted_as(choice) for choice in chosen}
    everything = (choice for init_image in range(init_images) for choice in _everything(recipe, init_image))
    for choice in _distinct(everything):
        if count and _painted_as(choice) not in seen:
            count -= 1
            yield choice
        elif not count:
            return
