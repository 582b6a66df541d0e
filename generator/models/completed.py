"""A recipe whose size, steps and guidance follow from its model, with these values in it; and what is to be said of it.

Before jobs are made: their ids depend on the values. Loads no model.
"""

from __future__ import annotations

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.defaults import ModelDefaults, defaults_of
from diffucurate.generator.models.few_steps import few_steps
from diffucurate.generator.recipe.canvas_config import usual_size
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.counted import counted


def completed(recipe: Recipe, *, local_only: bool = False) -> Recipe:
    """The recipe with its model's own values where it names none; the same recipe where it names all.

    Args:
        recipe: any.
        local_only: whether the configurations of a hub id have to be in the local cache; else they are downloaded.

    Raises:
        ModelError: the model's configurations cannot be read.
        RecipeError: a value of the model's does not go with the others, such as a strength that leaves no step.
    """
    missing = [name for name in recipe.left_to_model if getattr(recipe, name) is None]
    unplaced = recipe.canvas is not None and recipe.canvas.region is None
    if not missing and not unplaced:
        return recipe
    defaults = defaults_of(recipe.model, recipe.model_options, local_only=local_only)
    values = {"size": list(defaults.size), "steps": defaults.steps, "guidance": defaults.guidance}
    content = recipe.model_dump(mode="json")
    if recipe.canvas is not None:
        region = list(recipe.canvas.region or defaults.size)
        values["size"] = usual_size(region)
        content["canvas"] = {**content["canvas"], "region": region}
    return Recipe.from_mapping({**content, **{name: values[name] for name in missing}})


def values_used(recipe: Recipe, complete: Recipe) -> str | None:
    """One sentence on the values that the model decided, and by what; None where it decided none.

    Args:
        recipe: as it was written.
        complete: as ``completed`` returned it.
    """
    missing = [name for name in recipe.left_to_model if getattr(recipe, name) is None]
    defaults = _known(complete)
    if not missing or defaults is None:
        return None
    texts = {
        "size": f"{defaults.size[0]} x {defaults.size[1]} px",
        "steps": counted(defaults.steps, "step"),
        "guidance": f"guidance {defaults.guidance:g}",
    }
    reason = f", {defaults.reason}" if defaults.reason else ""
    return f"{', '.join(texts[name] for name in missing)}: as suits {defaults.family}{reason}"


def remarks(recipe: Recipe, complete: Recipe) -> list[str]:
    """A sentence for each value that the recipe names and that changes nothing with its model, or lacks another.

    Args:
        recipe: as it was written.
        complete: as ``completed`` returned it.
    """
    defaults = _known(complete)
    if defaults is None:
        return []
    model, guidance, sentences = f"model '{complete.model}' ({defaults.family})", complete.guidance or 0.0, []
    if "guidance" not in recipe.left_to_model and not defaults.guided and guidance > 1:
        sentences.append(
            f"guidance: {guidance:g} - it changes nothing with {model}, which paints without; leave it out"
        )
    if complete.negative_prompt and (not defaults.negative or guidance <= defaults.off):
        reason = f"{model}, which takes none; leave it out"
        if defaults.negative:
            reason = f"{model} at guidance {guidance:g}; set guidance above {defaults.off:g}, or leave it out"
        text = complete.negative_prompt
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        sentences.append(f"negative_prompt: '{shown}' - it changes nothing with {reason}")
    for lora in complete.loras:
        named = few_steps(lora.path)
        if named is not None and named.kind == "LCM" and "LCM" not in defaults.family:
            sentences.append(f"loras: '{lora.path}' - it is made for another sampler; write scheduler: lcm")
    return sentences


def _known(recipe: Recipe) -> ModelDefaults | None:
    """What is known of a recipe's model on this machine."""
    try:
        return defaults_of(recipe.model, recipe.model_options, local_only=True)
    except ModelError:
        return None
