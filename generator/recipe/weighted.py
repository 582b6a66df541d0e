"""A recipe of the prompts that are needed most, drawn by weights of classes and attribute values. Knows no dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, prod
from random import Random

from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.recipe.amount import MAX_SEED
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.recipe.subset import mentioned
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.text.templates import attributes_of, fix

#: Draws in a row that give a prompt that was drawn before, after which the recipe counts as exhausted.
_IN_VAIN = 200


def weakness_weight(iou: float, count: int) -> float:
    """The weight of a class that a model finds with a mean IoU of ``iou``, of ``count`` classes: the weaker, the more.

    1 / C + 4 / C * exp(-8 (iou - 0.5)) (S3OD, ICLR 2026).
    """
    return (1 + 4 * exp(-8 * (iou - 0.5))) / count


def capped(weights: Mapping[str, float], cap: float) -> dict[str, float]:
    """Weights of which the greatest is at most ``cap`` times the least, with a mean of 1."""
    least = min(weights.values())
    bounded = {name: min(weight, cap * least) for name, weight in weights.items()}
    mean = sum(bounded.values()) / len(bounded)
    return {name: weight / mean for name, weight in bounded.items()}


def recipe_by_weights(
    recipe: Recipe,
    classes: Mapping[str, float],
    attributes: Mapping[str, Mapping[str, float]],
    count: int,
    *,
    first_seed: int,
    seed: int = 0,
) -> Recipe:
    """``count`` prompts of a recipe, each value of an attribute drawn as often as its weight says.

    The weight of a value is that of the attribute's value times that of the classes which it names, so "bus" comes
    more often where buses are weak. Templates are drawn by the classes in their own text. No prompt comes twice; where
    the recipe has fewer than ``count``, each gets several seeds.

    Args:
        recipe: with templates.
        classes: class -> weight, above 0; 1 where left out.
        attributes: attribute -> value -> weight, likewise.
        count: images.
        first_seed: the images' seed, or the first of several; one that no earlier image of the recipe has makes all of
            them new.
        seed: decides which prompts are drawn.

    Raises:
        RecipeError: a recipe without templates, such as one of captions or for img2img, or a value that no template can
            hold.
        InvalidSetting: ``count`` is below 1.
    """
    if count < 1:
        raise InvalidSetting("count", count, "ask for at least 1 image")
    if not recipe.templates or recipe.captions is not None or recipe.task != "txt2img":
        raise RecipeError("templates", list(recipe.templates), "prompts can be drawn from templates only; add some")
    random = Random(seed)
    phrases = {label: tuple(texts) for label, texts in recipe.classes.items()}

    def of_text(text: str) -> float:
        return prod(classes.get(label, 1.0) for label in find_phrases(text, phrases))

    values = {
        name: [attributes.get(name, {}).get(value, 1.0) * of_text(value) for value in choices]
        for name, choices in recipe.attributes.items()
    }
    templates = [of_text(template) for template in recipe.templates]
    drawn: dict[str, None] = {}
    in_vain = 0
    while len(drawn) < count and in_vain < _IN_VAIN:
        template = random.choices(recipe.templates, templates)[0]
        chosen = {name: random.choices(recipe.attributes[name], values[name])[0] for name in attributes_of(template)}
        try:
            text = fix(template, chosen)
        except ValueError as error:
            raise RecipeError("attributes", chosen, f"a template {error}; leave that value out") from None
        in_vain = in_vain + 1 if text in drawn else 0
        drawn[text] = None
    rounds = -(-count // len(drawn))
    return _of_templates(recipe, list(drawn), [(first_seed + index) % (MAX_SEED + 1) for index in range(rounds)], count)


def _of_templates(recipe: Recipe, templates: Sequence[str], seeds: Sequence[int], count: int) -> Recipe:
    whole = len(templates) * len(seeds)
    return Recipe.from_mapping(
        {
            **recipe.model_dump(mode="json"),
            "templates": list(templates),
            "attributes": {},
            "classes": mentioned(recipe.classes, templates, {}),
            "seeds": list(seeds),
            "sample": "all" if whole <= count else {"count": count, "seed": 0},
        }
    )
