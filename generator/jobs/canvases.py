"""The canvases of a recipe: which objects are painted on each, and where.

Canvases get their prompts from all classes in turn, so that each class is painted as often as any other; prompts of a
class that has fewer come again sooner. The same recipe leads to the same canvases.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, islice, product
from math import prod
from random import Random
from typing import NamedTuple

from diffucurate.generator.jobs.sampling import row_at
from diffucurate.generator.recipe.amount import Sample
from diffucurate.generator.recipe.canvas import Canvas, CanvasRegion
from diffucurate.generator.recipe.canvas_config import CanvasConfig, check_room, places
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.recipe.sizes import Size
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.text.templates import attributes_of, fill, fixed_in

#: Regions begin at multiples of this, the pixels of a cell of most latents and of the coarsest maps of the built-in
#: model.
_CELL = 8

#: Of more prompts than this a part is drawn.
_MOST_PROMPTS = 20_000


class PlannedCanvas(NamedTuple):
    """A canvas, the values that it shares, its seed and its (width, height)."""

    canvas: Canvas
    values: dict[str, str]
    seed: int
    size: Size

    @property
    def prompt(self) -> str:
        """What the whole image shows."""
        texts = [self.canvas.background, *(region.prompt for region in self.canvas.regions)]
        return ". ".join(text.strip(" .") for text in texts if text)


def canvases(recipe: Recipe) -> Iterator[PlannedCanvas]:
    """The canvases of a recipe of task ``canvas`` that is complete, in order.

    Each is painted with every seed at every size. Without a sample there are as many as it takes to deal as many
    prompts as the templates have.

    Raises:
        RecipeError: a size has no room for the objects.
    """
    config = _config(recipe)
    for size in recipe.sizes:
        check_room(config, size)
    asked = recipe.sample if isinstance(recipe.sample, Sample) else None
    variants = list(product(recipe.seed_list, recipe.sizes))
    rng = Random(_seed(recipe))
    deal = _Deal(recipe, rng)
    planned = _planned(recipe, config, deal, rng, variants, endless=asked is not None)
    yield from islice(planned, asked.count if asked is not None else None)


def count_canvases(recipe: Recipe) -> int:
    """How many canvases a recipe makes; it need not be complete."""
    if isinstance(recipe.sample, Sample):
        return recipe.sample.count
    left = min(sum(prod(map(len, values.values())) for _, values in _axes(recipe)), _MOST_PROMPTS)
    numbers, count = _numbers(recipe), 0
    while left > 0:
        left -= next(numbers)
        count += 1
    return count * recipe.variants


def _planned(
    recipe: Recipe,
    config: CanvasConfig,
    deal: _Deal,
    rng: Random,
    variants: Sequence[tuple[int, Size]],
    *,
    endless: bool,
) -> Iterator[PlannedCanvas]:
    shared = attributes_of(config.background)
    turns = {name: _Turns(recipe.attributes[name], rng) for name in shared}
    numbers = _numbers(recipe)
    while endless or deal.left > 0:
        prompts = list(islice(deal, next(numbers)))
        values = {name: next(turns[name]) for name in shared}
        texts = [fill(template, {**own, **values}) for template, own in prompts]
        layout = rng.random()
        common = {**_fixed_values(prompts), **values}
        for seed, size in variants:
            boxes = _boxes(config, size, len(texts), Random(f"{layout} {size}"))
            regions = tuple(
                CanvasRegion(text, box, find_phrases(text, recipe.classes))
                for text, box in zip(texts, boxes, strict=True)
            )
            background = fill(config.background, values) if config.background else ""
            canvas = Canvas(background, regions, config.tries, config.min_confidence)
            yield PlannedCanvas(canvas, common, seed, size)


def _fixed_values(prompts: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """The attributes that have one value in all prompts, each a template with its values."""
    every = [{**fixed_in(template), **values} for template, values in prompts]
    return {name: value for name, value in every[0].items() if all(each.get(name) == value for each in every)}


class _Turns(Iterator[str]):
    """Values in an order drawn anew for each round, so that each comes as often as any other."""

    def __init__(self, values: Sequence[str], rng: Random) -> None:
        self._values, self._rng, self._waiting = list(values), rng, deque[str]()

    def __next__(self) -> str:
        if not self._waiting:
            self._waiting.extend(self._rng.sample(self._values, len(self._values)))
        return self._waiting.popleft()


class _Deal(Iterator[tuple[str, dict[str, str]]]):
    """A recipe's prompts, each a template with its values: one of each class in turn, round after round.

    ``left`` is the number of the recipe's prompts less those that were dealt.
    """

    def __init__(self, recipe: Recipe, rng: Random) -> None:
        self._rng = rng
        prompts = _prompts(recipe, rng)
        self.left = len(prompts)
        self._all: dict[tuple[str, ...], list[tuple[str, dict[str, str]]]] = defaultdict(list)
        first = {name: values[0] for name, values in recipe.attributes.items()}  # of those that a canvas decides
        for template, values in prompts:
            mentioned = find_phrases(fill(template, {**first, **values}), recipe.classes)
            self._all[tuple(mentioned)].append((template, values))
        self._waiting: dict[tuple[str, ...], deque[tuple[str, dict[str, str]]]] = {}
        self._turn: deque[tuple[str, ...]] = deque()

    def __next__(self) -> tuple[str, dict[str, str]]:
        if not self._turn:
            self._turn.extend(self._rng.sample(list(self._all), len(self._all)))
        key = self._turn.popleft()
        if not self._waiting.get(key):
            self._waiting[key] = deque(self._rng.sample(self._all[key], len(self._all[key])))
        self.left -= 1
        return self._waiting[key].popleft()


def _prompts(recipe: Recipe, rng: Random) -> list[tuple[str, dict[str, str]]]:
    """Each template with each combination of its values, or so many of them, drawn from all alike."""
    axes = _axes(recipe)
    totals = list(accumulate((prod(map(len, values.values())) for _, values in axes), initial=0))
    numbers = range(totals[-1]) if totals[-1] <= _MOST_PROMPTS else rng.sample(range(totals[-1]), _MOST_PROMPTS)
    prompts = []
    for number in numbers:
        place = bisect_right(totals, number) - 1
        template, values = axes[place]
        row = row_at(number - totals[place], list(map(len, values.values())))
        chosen = {name: listed[index] for (name, listed), index in zip(values.items(), row, strict=True)}
        prompts.append((template, chosen))
    return prompts


def _axes(recipe: Recipe) -> list[tuple[str, dict[str, list[str]]]]:
    """Each template with its attributes and their values, without those of the background."""
    shared = set(attributes_of(_config(recipe).background))
    names = ([name for name in attributes_of(text) if name not in shared] for text in recipe.templates)
    return [
        (text, {name: recipe.attributes[name] for name in own})
        for text, own in zip(recipe.templates, names, strict=True)
    ]


def _numbers(recipe: Recipe) -> Iterator[int]:
    """How many objects each canvas has."""
    rng = Random(f"{_seed(recipe)} regions")
    while True:
        yield rng.randint(*_config(recipe).regions)


def _seed(recipe: Recipe) -> int:
    return recipe.sample.seed if isinstance(recipe.sample, Sample) else 0


def _config(recipe: Recipe) -> CanvasConfig:
    assert recipe.canvas is not None, "checked with the recipe"
    return recipe.canvas


def _boxes(config: CanvasConfig, size: Size, count: int, rng: Random) -> list[tuple[int, int, int, int]]:
    """Regions at different places of a grid, each moved at random as far as the overlap allows."""
    width, height = config.region or size
    columns, rows = places(config, size)
    boxes = []
    for place in rng.sample(range(columns * rows), count):
        row, column = divmod(place, columns)
        x = _start(column, columns, size[0], width, config.overlap, rng)
        y = _start(row, rows, size[1], height, config.overlap, rng)
        boxes.append((x, y, width, height))
    return boxes


def _start(index: int, count: int, outer: int, inner: int, overlap: float, rng: Random) -> int:
    """Where the ``index``-th of ``count`` regions of ``inner`` pixels begins on a side of ``outer``."""
    free = outer - inner
    if count == 1:
        start = rng.random() * free
    else:
        pitch = free / (count - 1)
        start = index * pitch + rng.uniform(-0.5, 0.5) * (pitch - (1 - overlap) * inner)
    return min(max(round(start / _CELL), 0), free // _CELL) * _CELL
