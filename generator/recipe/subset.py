"""A recipe reduced to some combinations of attribute values: those that no image has yet, say. Knows no dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.recipe.checks import Lists, check_mentions
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.templates import attributes_of, fix, fixed_in

Combination = Mapping[str, str]


def recipe_for_missing(recipe: Recipe, missing: Sequence[Combination], *, one_each: bool = False) -> Recipe:
    """The part of a recipe that makes ``missing``: exactly those of its jobs, whatever it samples, that have one.

    Args:
        missing: combinations, each an attribute -> value of one or more of the recipe's attributes.
        one_each: one image per combination instead of all that the recipe can make of it, from one template after
            the other where several will do.

    Raises:
        RecipeError: nothing is missing, no prompt of the recipe can have a combination, or the prompts that are left
            mention no class.
    """
    if not missing:
        raise RecipeError("missing", [], "every combination has an image; there is nothing to generate")
    templates: dict[str, None] = {}
    for index, combination in enumerate(missing):
        suitable = [template for template in recipe.templates if _can_have(recipe, template, combination)]
        if not suitable:
            wanted = ", ".join(f"{name} {value}" for name, value in combination.items())
            raise RecipeError("missing", dict(combination), f"no template of the recipe can make {wanted}")
        chosen = [suitable[index % len(suitable)]] if one_each else suitable
        try:
            templates |= dict.fromkeys(fix(template, combination) for template in chosen)
        except ValueError as error:
            raise RecipeError("missing", dict(combination), f"a template {error}; generate it by hand") from None
    used = {name for template in templates for name in attributes_of(template)}
    reduced = {
        **recipe.model_dump(mode="json"),
        "templates": list(templates),
        "attributes": {name: list(values) for name, values in recipe.attributes.items() if name in used},
        "sample": {"count": len(templates), "seed": 0} if one_each else "all",
    }
    reduced["classes"] = mentioned(recipe.classes, reduced["templates"], reduced["attributes"])
    return Recipe.from_mapping(reduced)


def _can_have(recipe: Recipe, template: str, combination: Combination) -> bool:
    free, fixed = attributes_of(template), fixed_in(template)
    return all(
        value in recipe.attributes[name] if name in free else fixed.get(name) == value
        for name, value in combination.items()
    )


def mentioned(classes: Lists, templates: Sequence[str], attributes: Lists) -> dict[str, list[str]]:
    """The classes that some prompt mentions: a recipe must not hold others."""
    left = {label: list(phrases) for label, phrases in classes.items()}
    while left:
        try:
            check_mentions(left, templates, attributes)
            break
        except RecipeError as error:
            del left[error.field.removeprefix("classes.")]
    return left
