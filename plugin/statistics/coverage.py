"""Which values of a recipe's attributes have images, and which of their combinations have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.templates import attributes_of, fixed_in
from diffucurate.plugin.statistics.aggregate import rows
from diffucurate.plugin.store import field_names, runs


@dataclass(frozen=True)
class CrossTable:
    """Images per combination of two attributes: ``counts[i][j]`` have value ``ys[i]`` of ``y`` and ``xs[j]`` of ``x``.

    ``missing`` are the combinations, as (x's value, y's), that a recipe can make and no image has.
    """

    x: str
    y: str
    xs: tuple[str, ...]
    ys: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    missing: tuple[tuple[str, str], ...]


def attributes_in(dataset: fo.Dataset) -> list[str]:
    """The attributes that images of the dataset have, in the order in which recipes brought them."""
    field = dataset.get_field(field_names.ATTRIBUTES)
    return [] if field is None else [name for name in field.get_field_schema() if name != "id"]


def recipes_in(dataset: fo.Dataset) -> list[Recipe]:
    """The recipes that the dataset's images were made from, the latest first, each once.

    Recipes of an earlier version that ``Recipe`` refuses now are left out.
    """
    recipes: dict[str, Recipe] = {}
    for key in sorted(dataset.list_runs(method=runs.method("generate")), reverse=True):
        try:
            recipe = Recipe.from_mapping(runs.plain(dataset.get_run_info(key).config.settings)["recipe"])
        except InvalidSetting:
            continue
        recipes.setdefault(recipe.fingerprint(), recipe)
    return list(recipes.values())


def images_per_value(samples: fo.Dataset | fo.DatasetView, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Attribute -> value -> images, most frequent first; images without the attribute are not counted."""
    counted = samples.aggregate([fo.CountValues(f"{field_names.ATTRIBUTES}.{name}") for name in names])
    return {
        name: dict(sorted(((v, n) for v, n in values.items() if v is not None), key=lambda item: (-item[1], item[0])))
        for name, values in zip(names, counted, strict=True)
    }


def cross_table(samples: fo.Dataset | fo.DatasetView, x: str, y: str, recipes: Sequence[Recipe]) -> CrossTable:
    """Count the images of every combination of two attributes' values: those of ``recipes``, then others that occur."""
    groups = rows(
        samples,
        [
            {"$project": {"_id": False, "x": f"${field_names.ATTRIBUTES}.{x}", "y": f"${field_names.ATTRIBUTES}.{y}"}},
            {"$match": {"x": {"$type": "string"}, "y": {"$type": "string"}}},
            {"$group": {"_id": {"x": "$x", "y": "$y"}, "count": {"$sum": 1}}},
        ],
    )
    counts = {(group["x"], group["y"]): group["count"] for group in groups}
    asked = dict.fromkeys(pair for recipe in recipes for pair in combinations_of(recipe, x, y))
    xs = tuple(dict.fromkeys([*(pair[0] for pair in asked), *sorted(pair[0] for pair in counts)]))
    ys = tuple(dict.fromkeys([*(pair[1] for pair in asked), *sorted(pair[1] for pair in counts)]))
    table = tuple(tuple(counts.get((first, second), 0) for first in xs) for second in ys)
    return CrossTable(x, y, xs, ys, table, tuple(pair for pair in asked if pair not in counts))


def combinations_of(recipe: Recipe, x: str, y: str) -> list[tuple[str, str]]:
    """Every combination of the two attributes' values that some prompt of a recipe can have."""
    pairs: dict[tuple[str, str], None] = {}
    for template in recipe.checked_templates:
        values = _values(recipe, template)
        pairs |= dict.fromkeys((first, second) for first in values.get(x, ()) for second in values.get(y, ()))
    return list(pairs)


def _values(recipe: Recipe, template: str) -> Mapping[str, Sequence[str]]:
    listed = recipe.listed_attributes
    free = {name: listed[name] for name in attributes_of(template) if name in listed}
    return {**free, **{name: [value] for name, value in fixed_in(template).items()}}
