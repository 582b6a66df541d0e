"""The fields in which a person builds a recipe, with a preview of the prompts; what is wrong stands on its field.

Draws only: ``recipe_params`` turns fields into a recipe and back, ``Recipe`` says what is wrong with it.
"""

from __future__ import annotations

from fiftyone.operators import types

from diffucurate.generator.errors import DatasetError, InvalidSetting, ModelError
from diffucurate.generator.files.strict_yaml import write_yaml
from diffucurate.generator.jobs.image_count import images_of
from diffucurate.generator.recipe.checks import check_templates
from diffucurate.generator.recipe.files import recipe_text
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.operators.forms.canvas import background_in
from diffucurate.operators.forms.class_tags import CLASSES_FOUND, remembered
from diffucurate.operators.forms.fields import plain, refuse
from diffucurate.operators.forms.model import choose_model
from diffucurate.operators.forms.model_numbers import placeholders
from diffucurate.operators.forms.recipe_defaults import Fields
from diffucurate.operators.forms.recipe_errors import field_and_message
from diffucurate.operators.forms.recipe_fields import ADVANCED, ask_advanced, ask_dataset, ask_numbers, ask_prompts
from diffucurate.operators.forms.recipe_params import BUILTIN, CURRENT, NEW, carried, left_behind, mapping_of
from diffucurate.plugin.generation.start import check_model, check_target

MONOSPACE = {"field": {"sx": {"& textarea": {"fontFamily": "monospace", "fontSize": 13, "whiteSpace": "pre"}}}}

#: Advanced fields that are shown wherever a recipe fills them, since hidden they would change its images unnoticed.
_RARE = (
    "more_sizes",
    "prompt_weights",
    "look_again",
    "karras",
    "spacing",
    "safety_checker",
    "retries",
    "tokens",
    "loras",
)


def build_recipe(inputs: types.Object, fields: Fields, current: str | None) -> Recipe | None:
    """Draw the builder; returns the recipe, None where something is wrong with it, which then stands on its field.

    ``current`` is the dataset that the App shows.
    """
    mapping = mapping_of(fields.values, current)
    recipe: Recipe | None = None
    path, message = "", ""
    try:
        # Templates first: classes and attributes are taken from them.
        if mapping["templates"]:
            check_templates(mapping["templates"], mapping["attributes"], background_in(fields.values))
        recipe = Recipe.from_mapping(mapping)
        if recipe.captions is not None:
            images_of(recipe)  # reads them
        check_model(recipe)
        check_target(recipe)
    except InvalidSetting as error:
        recipe = None
        path, message = field_and_message(error, mapping)
    except ModelError as error:
        recipe, path = None, "model_from" if fields.values["model_from"] == BUILTIN else "model"
        message = str(error)
    except DatasetError as error:
        recipe, path, message = None, "dataset", str(error)
    if path == "dataset" and fields.values.get("dataset_from", NEW) == CURRENT and current is not None:
        path = "dataset_from"
    ask_dataset(inputs, fields, current, None if path.startswith("dataset") else mapping["dataset"])
    ask_prompts(inputs, fields, mapping, recipe)
    choose_model(inputs, fields.defaults, fields.values)
    suggested = placeholders(mapping)
    ask_numbers(inputs, fields, suggested)
    switch = advanced_switch(inputs)
    if fields.values.get("advanced") or path in ADVANCED or any(fields.defaults.get(name) for name in _RARE):
        ask_advanced(inputs, fields.defaults, suggested)
    if reason := left_behind(fields.values.get("recipe")):
        notice = types.Warning(
            label="What was written under 'Write or paste a recipe' stays there", description=plain(reason)
        )
        inputs.view("left_behind", notice)
    if others := carried(fields.values.get("recipe")):
        text = "\n".join(f"- {plain(line)}" for line in write_yaml(others).splitlines())
        label = "Kept from the recipe, without a field here; change it under 'Write or paste a recipe'"
        inputs.str("kept", label=label, default=text, view=types.MarkdownView(read_only=True))
    if path and not (field := _field(inputs, path) or switch).invalid:
        refuse(field, message)
    return recipe


def first_problem(inputs: types.Object) -> str | None:
    """The first message that stands on a field of the form, with the field's label."""
    for prop in inputs.properties.values():
        if prop.invalid:
            return f"{prop.view.label or 'Model'}: {prop.error_message}"
        if isinstance(prop.type, types.Object) and (inner := first_problem(prop.type)):
            return inner
    return None


def advanced_switch(inputs: types.Object) -> types.Property:
    """Draw the switch that shows the advanced settings."""
    return inputs.bool("advanced", default=False, label="Show advanced settings", view=types.SwitchView())


def show_yaml(inputs: types.Object, fields: Fields, current: str | None) -> None:
    """Draw a switch that shows the recipe as text, to be copied."""
    inputs.bool("show_yaml", default=False, label="Show as YAML", view=types.SwitchView())
    if fields.values.get("show_yaml"):
        text = recipe_text(mapping_of(fields.values, current))
        # Read-only in the browser's sense: a field that FiftyOne makes read-only lets nobody mark and copy its text.
        props = {"field": {**MONOSPACE["field"], "inputProps": {"readOnly": True}}}
        view = types.TextFieldView(multiline=True, rows=text.count("\n"), componentsProps=props)
        inputs.str("yaml", label="The same recipe as a file", default=text, view=view)


def remember_classes(inputs: types.Object, fields: Fields) -> None:
    """Draw a hidden field with the suggested classes, by which ``names_classes`` tells whether they were edited."""
    hidden = {"container": {"sx": {"display": "none"}}}
    text = remembered(fields.defaults["classes"])
    inputs.str(CLASSES_FOUND, default=text, view=types.TextFieldView(componentsProps=hidden))


def _field(inputs: types.Object, path: str) -> types.Property | None:
    name, _, inner = path.partition(".")
    prop = inputs.get_property(name)
    return prop.type.get_property(inner) if prop is not None and inner else prop
