"""The fields in which a person builds a recipe, with a preview of the prompts; what is wrong stands on its field.

Draws only: ``recipe_params`` turns fields into a recipe and back, ``Recipe`` says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from diffucurate.generator.captions.prompts import caption_prompts
from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.files.strict_yaml import write_yaml
from diffucurate.generator.jobs.image_count import images_of, some_prompts
from diffucurate.generator.recipe.checks import check_templates
from diffucurate.generator.recipe.model_options import SCHEDULERS
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.operators.forms.captions import ask_captions, ask_class_prompt
from diffucurate.operators.forms.fields import choose, refuse
from diffucurate.operators.forms.model import choose_model
from diffucurate.operators.forms.recipe_defaults import Fields
from diffucurate.operators.forms.recipe_params import (
    CAPTIONS,
    CLASSES_FOUND,
    CURRENT,
    NEW,
    TEMPLATES,
    as_text,
    carried,
    left_behind,
    mapping_of,
    place,
    remembered,
)
from diffucurate.plugin.generation.target import find_target

PREVIEWED = 6

MONOSPACE = {"field": {"sx": {"& textarea": {"fontFamily": "monospace", "fontSize": 13, "whiteSpace": "pre"}}}}

ADVANCED = (
    "more_sizes", "steps", "guidance", "negative_prompt", "prompt_weights", "scheduler", "tokens", "loras",
    "sample_count", "sample_seed",
)  # fmt: skip


#: What nobody would miss before it is too late: fields that show themselves where a recipe fills them.
_RARE = ("more_sizes", "prompt_weights", "tokens", "loras")


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
            check_templates(mapping["templates"], mapping["attributes"])
        recipe = Recipe.from_mapping(mapping)
        if recipe.captions is not None:
            images_of(recipe)  # reads them
    except InvalidSetting as error:
        recipe = None
        path, message = place(error, mapping)
    if path == "dataset" and mapping["dataset"] == current:
        path = "dataset_from"
    _dataset(inputs, fields, current, None if path.startswith("dataset") else mapping["dataset"])
    _prompts(inputs, fields, mapping, recipe)
    choose_model(inputs, fields.defaults, fields.values)
    _numbers(inputs, fields)
    switch = advanced_switch(inputs)
    if fields.values.get("advanced") or path in ADVANCED or any(fields.defaults.get(name) for name in _RARE):
        _advanced(inputs, fields.defaults)
    if reason := left_behind(fields.values.get("recipe")):
        notice = types.Warning(
            label="What was written under 'Write or paste a recipe' stays there", description=plain(reason)
        )
        inputs.view("left_behind", notice)
    if kept := carried(fields.values.get("recipe")):
        text = "\n".join(f"- {plain(line)}" for line in write_yaml(kept).splitlines())
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
    """Draw the switch that unfolds what most people never need."""
    return inputs.bool("advanced", default=False, label="Show advanced settings", view=types.SwitchView())


def show_yaml(inputs: types.Object, fields: Fields, current: str | None) -> None:
    """Draw a switch that shows the recipe as text, to be kept or sent to someone."""
    inputs.bool("show_yaml", default=False, label="Show as YAML", view=types.SwitchView())
    if fields.values.get("show_yaml"):
        text = as_text(mapping_of(fields.values, current))
        # Read-only in the browser's sense: a field that FiftyOne makes read-only lets nobody mark and copy its text.
        props = {"field": {**MONOSPACE["field"], "inputProps": {"readOnly": True}}}
        view = types.TextFieldView(multiline=True, rows=text.count("\n"), componentsProps=props)
        inputs.str("yaml", label="The same recipe as a file", default=text, view=view)


def remember_classes(inputs: types.Object, fields: Fields) -> None:
    """Draw a field that nobody sees and that follows the classes that are found: it tells whether theirs was edited."""
    hidden = {"container": {"sx": {"display": "none"}}}
    text = remembered(fields.defaults["classes"])
    inputs.str(CLASSES_FOUND, default=text, view=types.TextFieldView(componentsProps=hidden))


def _field(inputs: types.Object, path: str) -> types.Property | None:
    name, _, inner = path.partition(".")
    prop = inputs.get_property(name)
    return prop.type.get_property(inner) if prop is not None and inner else prop


def _dataset(inputs: types.Object, fields: Fields, current: str | None, name: str | None) -> None:
    """``name``: the dataset to be looked at, None where it cannot be one's name."""
    into = fields.values.get("dataset_from", NEW) if current is not None else NEW
    if current is not None:
        choice = types.RadioGroup(orientation="horizontal", label="Dataset")
        choice.add_choice(NEW, label="New dataset")
        choice.add_choice(CURRENT, label=f"Add to '{current}'")
        field = inputs.enum("dataset_from", choice.values(), default=NEW, view=choice)
    if into == NEW:
        label = "Name of the dataset" if current is not None else "Dataset"
        field = inputs.str("dataset", label=label, default=fields.defaults["dataset"])
    try:
        if name is not None and find_target(name) is None and into == CURRENT:
            refuse(field, f"dataset '{name}' was deleted meanwhile; choose a new one")
    except DatasetError as error:
        refuse(field, str(error) if into == NEW else f"'{name}' was not generated by Diffucurate; choose a new dataset")


def _prompts(inputs: types.Object, fields: Fields, mapping: Mapping[str, Any], recipe: Recipe | None) -> None:
    origin = types.RadioGroup(orientation="horizontal")
    origin.add_choice(TEMPLATES, label="Write prompts")
    origin.add_choice(CAPTIONS, label="Use captions")
    chosen = fields.values.get("prompts_from") or TEMPLATES
    inputs.enum("prompts_from", origin.values(), default=fields.defaults.get("prompts_from", TEMPLATES), view=origin)
    if chosen == CAPTIONS:
        ask_captions(inputs, fields.values, defaults=fields.defaults)
        ask_class_prompt(inputs, default=fields.defaults.get("class_prompt"))
    else:
        _templates(inputs, fields, mapping)
    inputs.list(
        "classes",
        types.String(),
        label="Classes",
        description="What to find and label. Add one with Enter; 'person: pedestrian' takes both words for a person.",
        default=fields.defaults["classes"],
        view=types.AutocompleteView(choices=[], allow_duplicates=False),
    )
    if recipe is not None and recipe.captions is not None:
        prompts = [made.prompt for made in caption_prompts(recipe.captions, recipe.classes).prompts[:PREVIEWED]]
    else:
        prompts = some_prompts(mapping["templates"], mapping["attributes"], PREVIEWED)
    if prompts:
        text = "\n".join(f"- {plain(prompt)}" for prompt in prompts)
        label = f"{images_of(recipe).images:,} images, such as" if recipe is not None else "Images such as"
        inputs.str("preview", label=label, default=text, view=types.MarkdownView(read_only=True))


def _templates(inputs: types.Object, fields: Fields, mapping: Mapping[str, Any]) -> None:
    count = len(mapping["templates"])
    inputs.define_property(
        "templates",
        _type_of(fields.values["templates"]),
        label="Prompts",
        description="One per line. Write {colour} where a value of your choice goes, and its values below.",
        default=fields.defaults["templates"],
        view=types.TextFieldView(multiline=True, rows=min(max(2, count), 8)),
    )
    if fields.defaults["attributes"]:
        group = inputs.obj("attributes", view=types.ObjectView()).type
        for name, text in fields.defaults["attributes"].items():
            kind, label = _type_of(fields.values["attributes"][name]), name.replace("_", " ").capitalize()
            view = _beside(6, placeholder="Values, separated by commas")
            field = group.define_property(name, kind, label=label, default=text, view=view)
            if not mapping["attributes"].get(name):
                refuse(field, f"write what {{{name}}} can be, such as one, two, three")


def _numbers(inputs: types.Object, fields: Fields) -> None:
    defaults = fields.defaults
    inputs.int("width", label="Width", description="In pixels", default=defaults.get("width"), view=_beside(4))
    inputs.int("height", label="Height", description="In pixels", default=defaults.get("height"), view=_beside(4))
    inputs.define_property(
        "seeds",
        _type_of(fields.values["seeds"]),
        label="Images per prompt",
        description="Or their seeds: 3, 7, 21; or 3 random",
        default=defaults["seeds"],
        view=_beside(4),
    )


def _advanced(inputs: types.Object, defaults: Mapping[str, Any]) -> None:
    inputs.int(
        "steps",
        label="Steps",
        description="More take longer and give cleaner images",
        default=defaults["steps"],
        view=_beside(6),
    )
    inputs.float(
        "guidance",
        label="Guidance",
        description="How closely an image keeps to its prompt",
        default=defaults["guidance"],
        view=_beside(6),
    )
    inputs.str(
        "negative_prompt",
        label="Negative prompt",
        description="What the images should not show; may have {attributes} that all prompts have",
        default=defaults.get("negative_prompt"),
    )
    inputs.str(
        "more_sizes",
        label="Other sizes",
        description="Each prompt at these too, such as 128x192, 192x128",
        default=defaults.get("more_sizes"),
        view=_beside(6),
    )
    inputs.bool(
        "prompt_weights",
        label="Weights in prompts",
        description="Read car++ and (road)1.3 as weights, and prompts of any length",
        default=defaults.get("prompt_weights", False),
        view=types.SwitchView(space=6),
    )
    for name, label, description in (
        ("tokens", "Learned words", "Word and file or hub id, such as <piano>=/home/me/piano.safetensors"),
        ("loras", "LoRAs", "File or hub id, with a scale if it is not 1, such as /home/me/style.safetensors=0.8"),
    ):
        view = types.AutocompleteView(choices=[], allow_duplicates=False)
        inputs.list(name, types.String(), label=label, description=description, default=defaults.get(name), view=view)
    choose(
        inputs,
        "scheduler",
        {name: name for name in SCHEDULERS},
        label="Sampler",
        description="How noise is taken out step by step; the model's own where none is chosen",
        default=defaults.get("scheduler"),
        required=False,
    )
    inputs.int(
        "sample_count",
        label="At most",
        description="An even mix of so many images",
        default=defaults.get("sample_count"),
        view=_beside(6),
    )
    inputs.int(
        "sample_seed",
        label="Mix",
        description="Another number gives another mix",
        default=defaults.get("sample_seed"),
        view=_beside(6, placeholder="0"),
    )


def _type_of(value: Any) -> types.BaseType:
    """What a field holds: text, unless a call from Python gave a list or a number for it."""
    if isinstance(value, list):
        return types.List(_type_of(next(iter(value), None)))
    return types.Number(int=True) if isinstance(value, int) else types.String()


def _beside(space: int, **options: Any) -> types.TextFieldView:
    """A field that takes ``space`` twelfths of the line."""
    return types.TextFieldView(space=space, **options)


def plain(text: str) -> str:
    """Text with what Markdown would take for markup spelled out."""
    return re.sub(r"([\\`*_\[\]<>~#])|^(?=[-+])", r"\\\1", text)
