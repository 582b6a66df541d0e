"""The defaults of the recipe form's fields, and their values. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.parsing import join_values, split_lines, split_values
from diffucurate.generator.tiny import words
from diffucurate.generator.tiny.shapes import CLASSES, COLOURS
from diffucurate.operators.forms.canvas import background_in
from diffucurate.operators.forms.class_tags import names_classes, tags_of
from diffucurate.operators.forms.recipe_params import (
    EXAMPLE,
    classes_found,
    model_from,
    params_of,
    used_attributes,
)
from diffucurate.plugin.generation.target import unused_name

#: The values that the form suggests for an attribute of that name: words that the built-in model knows.
_SUGGESTED = {
    **dict.fromkeys(("colour", "color"), COLOURS),
    **dict.fromkeys(("object", "thing", "vehicle"), CLASSES),
    "place": words.PLACES,
    "time": words.TIMES,
    "weather": words.WEATHERS[1:],  # all but "clear", which nobody writes as in "a car in fog"
}

#: The numbers that follow from the model, so that another one than the recipe's begins without them.
_BY_MODEL = ("width", "height", "steps", "guidance")


class Fields(NamedTuple):
    """The default of each field of the form, and its value, which may be None."""

    defaults: dict[str, Any]
    values: dict[str, Any]


def fields_of(params: Mapping[str, Any]) -> Fields:
    """The form's fields, given what has been entered so far.

    They begin with the recipe that was pasted or handed over, if there is one, else with an example. The App puts
    a default into a field whenever it changes, until the person has edited that field.
    """
    defaults = _start(params.get("recipe"))
    named = model_from(params["model"]) if params.get("model") else defaults["model_from"]
    chosen = params.get("model_from", named)
    if chosen != defaults["model_from"]:
        defaults = {name: value for name, value in defaults.items() if name not in _BY_MODEL}
    values = {**defaults, **params, "model_from": chosen}
    templates = split_lines(values["templates"])
    before, entered = defaults["attributes"], params.get("attributes") or {}
    defaults["attributes"] = {
        name: before.get(name) or join_values(tuple(_SUGGESTED.get(name, ())))
        for name in used_attributes([*templates, *background_in(values)])
    }
    values["attributes"] = {name: entered.get(name, text) for name, text in defaults["attributes"].items()}
    if "classes" not in defaults:
        listed = {name: split_values(text) for name, text in values["attributes"].items()}
        defaults["classes"] = tags_of(classes_found(values, listed))
    if not names_classes(params):
        values["classes"] = defaults["classes"]
    return Fields(defaults, values)


def _start(text: str | None) -> dict[str, Any]:
    try:
        return params_of(Recipe.parse(text or ""))
    except InvalidSetting:
        return {**params_of(Recipe.from_mapping(EXAMPLE)), "dataset": unused_name(EXAMPLE["dataset"])}
