"""What the fields for size, steps and guidance show while they are empty: the values that follow from the model.

Only what lies on this machine is read: forms are drawn at every keystroke.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.models.completed import completed, remarks, values_used
from diffucurate.generator.models.defaults import defaults_of
from diffucurate.generator.recipe.by_model import BUILT_IN, BUILT_IN_VALUES
from diffucurate.generator.recipe.canvas_config import CANVAS, usual_size
from diffucurate.generator.recipe.model_options import Lora, ModelOptions
from diffucurate.generator.recipe.recipe import Recipe


def placeholders(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Field -> the value that is used where it stays empty; none where the model is not known on this machine.

    ``mapping`` is the recipe as far as it is filled in.
    """
    if mapping.get("model") == BUILT_IN:
        (width, height), steps, guidance = BUILT_IN_VALUES.values()
    else:
        try:
            defaults = defaults_of(str(mapping.get("model")), _options(mapping), local_only=True)
        except ModelError:
            return {}
        (width, height), steps, guidance = defaults.size, defaults.steps, defaults.guidance
    if mapping.get("task") == CANVAS:
        width, height = usual_size((width, height))
    return {"width": f"{width}", "height": f"{height}", "steps": f"{steps}", "guidance": f"{guidance:g}"}


def own_size(mapping: Mapping[str, Any]) -> list[int | None]:
    """Width and height that follow from a recipe's model; None for each where it is not known on this machine."""
    known = placeholders(mapping)
    return [int(known[name]) if name in known else None for name in ("width", "height")]


def _options(mapping: Mapping[str, Any]) -> ModelOptions | None:
    try:
        loras = tuple(Lora.model_validate(lora) for lora in mapping.get("loras", ()))
        return ModelOptions(scheduler=mapping.get("scheduler"), loras=loras)
    except InvalidSetting:  # which the recipe says too
        return None


def complete_here(recipe: Recipe) -> tuple[Recipe, str, list[str]]:
    """A recipe with the values of its model, as far as that is known on this machine; a sentence on these values, empty
    where there are none; and sentences on values that change nothing."""
    try:
        complete = completed(recipe, local_only=True)
    except ModelError:
        return recipe, "Size, steps and guidance that are not named follow from the model.", []
    except InvalidSetting as error:  # said once more when it is painted
        return recipe, "", [str(error)]
    sentence = values_used(recipe, complete)
    return complete, f"{sentence[0].upper()}{sentence[1:]}." if sentence else "", remarks(recipe, complete)
