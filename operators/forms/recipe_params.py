"""The values of the recipe form's fields and the recipe that they describe, each converted to the other.

Lists are text in a form: templates one per line, values separated by commas. Nothing is checked here, so that
``Recipe`` alone says what is wrong; ``recipe_errors`` finds the field that the error belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.files.strict_yaml import read_yaml
from diffucurate.generator.models.names import locate
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.generator.recipe.diffugen import is_config, recipe_contents
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.parsing import join_values, parse_seeds, parse_sizes, split_lines, split_values
from diffucurate.generator.text.suggest_classes import likely_classes
from diffucurate.generator.text.templates import attributes_of
from diffucurate.operators.forms.canvas import background_in, canvas_in, canvas_params, fields_suffice
from diffucurate.operators.forms.caption_params import caption_params, captions_in
from diffucurate.operators.forms.class_tags import Lists, classes_of, names_classes, tags_of
from diffucurate.operators.forms.model_numbers import own_size
from diffucurate.operators.forms.recipe_texts import loras_of, seeds_as_text, words_of

#: Where the recipe, the dataset and the model come from.
BUILT, PASTED, FILE = "built", "pasted", "file"
NEW, CURRENT = "new", "current"
BUILTIN, HUB, LOCAL = "builtin", "hub", "local"

#: The recipe that the form begins with: small enough to try at once.
EXAMPLE: dict[str, Any] = {
    "dataset": "my-streets",
    "model": BUILT_IN,
    "seeds": 2,
    "classes": {"car": ["car"], "bus": ["bus"]},
    "templates": ["a {colour} {object} on a road at {time}"],
    "attributes": {"colour": ["red", "blue"], "object": ["car", "bus"], "time": ["noon", "night"]},
}

#: Values that a recipe need not name, because they are its own defaults.
_LEFT_OUT = {
    "negative_prompt": "",
    "scheduler": "",
    "spacing": "",
    "prompt_weights": False,
    "look_again": False,
    "retries": 0,
    "memory": "auto",
}

#: What a choice between two settings and the model's own says -> the recipe's value.
SWITCHED = {"on": True, "off": False}

#: The keys of a recipe that the form has fields for; the others go through the form unchanged.
SHOWN = frozenset(
    {
        "dataset",
        "model",
        "size",
        "steps",
        "guidance",
        "seeds",
        "negative_prompt",
        "scheduler",
        "karras",
        "spacing",
        "safety_checker",
        "retries",
        "memory",
        "loras",
        "tokens",
        "prompt_weights",
        "look_again",
        "classes",
        "templates",
        "attributes",
        "sample",
        "captions",
    }
)

#: Where the prompts come from.
TEMPLATES, CAPTIONS = "templates", "captions"


def mapping_of(params: Mapping[str, Any], current: str | None = None) -> dict[str, Any]:
    """The recipe that the form's fields describe, as plain data that is still to be checked.

    Classes are found in the templates where none are named. Fields that were emptied are left to the recipe's
    own defaults; ``current`` is the dataset that the App shows.
    """
    captioned = params.get("prompts_from") == CAPTIONS
    templates = [] if captioned else split_lines(params.get("templates"))
    used = used_attributes([*templates, *background_in(params)])
    attributes = {name: split_values(params.get("attributes", {}).get(name)) for name in used}
    dataset = current if current and params.get("dataset_from") == CURRENT else params.get("dataset")
    mapping: dict[str, Any] = {"dataset": dataset or "", "model": model_of(params)}
    kept = carried(params.get("recipe"))
    mapping |= {name: value for name, value in kept.items() if name != "attributes"}
    if chosen := canvas_in(params):
        mapping |= {**chosen, "canvas": {**kept.get("canvas", {}), **chosen["canvas"]}}
    sides, others = [params.get("width"), params.get("height")], parse_sizes(params.get("more_sizes"))
    if sides != [None, None] or others:  # an empty field stands for what is shown in it
        size = [own if side is None else side for side, own in zip(sides, own_size(mapping), strict=True)]
        mapping["size"] = [size, *others] if others else size
    for name in ("steps", "guidance", *_LEFT_OUT):
        if params.get(name) not in (None, _LEFT_OUT.get(name)):
            mapping[name] = params[name]
    for name in ("karras", "safety_checker"):
        if params.get(name) not in (None, ""):
            mapping[name] = SWITCHED.get(params[name], params[name])
    for name, read in (("tokens", words_of), ("loras", loras_of)):
        if params.get(name):
            mapping[name] = read(params[name])
    if params.get("seeds") not in (None, ""):
        mapping["seeds"] = parse_seeds(params["seeds"])
    if params.get("sample_count") is not None:
        mapping["sample"] = {"count": params["sample_count"], "seed": params.get("sample_seed") or 0}
    if captioned:
        mapping["captions"] = captions_in(params) or {}
    classes = classes_of(params["classes"]) if names_classes(params) else classes_found(params, attributes)
    if not templates:  # attributes of init images: the recipe names their values, no template uses them
        attributes = kept.get("attributes", {})
    return {**mapping, "classes": classes, "templates": templates, "attributes": attributes}


def classes_found(params: Mapping[str, Any], attributes: Mapping[str, Sequence[str]]) -> Lists:
    """The classes that the templates, or the captions in the form, most likely show."""
    if params.get("prompts_from") != CAPTIONS:
        return likely_classes(split_lines(params.get("templates")), attributes)
    texts = (captions_in(params) or {}).get("texts", [])
    return likely_classes([text.replace("{", "{{").replace("}", "}}") for text in texts], {})


def carried(text: Any) -> dict[str, Any]:
    """The keys of a recipe's text that the form has no field for, as plain data; none where it is no recipe."""
    try:
        recipe = Recipe.parse(text) if isinstance(text, str) and text else None
    except InvalidSetting:
        recipe = None
    if recipe is None:
        return {}
    defaults = {name: field.get_default(call_default_factory=True) for name, field in Recipe.model_fields.items()}
    shown = SHOWN | ({"task", "canvas"} if recipe.canvas is not None and fields_suffice(recipe.canvas) else set())
    names = [name for name in defaults if name not in shown and getattr(recipe, name) != defaults[name]]
    if recipe.captions is not None and caption_params(recipe.captions) is None:
        names.append("captions")
    if not recipe.templates and recipe.attributes:
        names.append("attributes")
    plain = recipe.model_dump(mode="json", exclude_none=True)
    return {name: plain[name] for name in names}


def left_behind(text: Any) -> str | None:
    """Why a recipe's text, or a part of it, cannot be taken into the form; None where all of it can."""
    if not isinstance(text, str) or not text:
        return None
    try:
        Recipe.parse(text)
        content = read_yaml(text)
    except InvalidSetting as error:
        return f"It is not a recipe that can be built here: {error}"
    others = len(recipe_contents(content)) - 1 if is_config(content) else 0
    return "Only the first section of this DiffuGen config is taken over." if others else None


def params_of(recipe: Recipe) -> dict[str, Any]:
    """The form's fields for a recipe; its classes only where they are not those that the form would suggest.

    ``carried`` returns what it has no field for.
    """
    params: dict[str, Any] = {
        "dataset": recipe.dataset,
        "templates": "\n".join(" ".join(template.split()) for template in recipe.templates),
        "attributes": {name: join_values(listed) for name, listed in recipe.attributes.items()},
        "model_from": model_from(recipe.model),
        "seeds": seeds_as_text(recipe.seeds),
    }
    params |= canvas_params(recipe)
    params |= {name: getattr(recipe, name) for name in ("steps", "guidance") if name not in recipe.left_to_model}
    if recipe.sizes and "size" not in recipe.left_to_model:
        params |= dict(zip(("width", "height"), recipe.sizes[0], strict=True))
        params["more_sizes"] = ", ".join(f"{width}x{height}" for width, height in recipe.sizes[1:])
    if params["model_from"] != BUILTIN:
        params["model"] = recipe.model
    named = ("negative_prompt", "scheduler", "spacing", "retries")
    params |= {name: value for name in named if (value := getattr(recipe, name))}
    switched = [name for name in ("karras", "safety_checker") if getattr(recipe, name) is not None]
    params |= {name: "on" if getattr(recipe, name) else "off" for name in switched}
    params |= {} if recipe.memory == "auto" else {"memory": recipe.memory}
    params |= {name: True for name in ("prompt_weights", "look_again") if getattr(recipe, name)}
    if recipe.tokens:
        params["tokens"] = [f"{word.placeholder}={word.path}" for word in recipe.tokens]
    if recipe.loras:
        params["loras"] = [f"{lora.path}={lora.scale:g}" for lora in recipe.loras]
    if recipe.sample != "all":
        params |= {"sample_count": recipe.sample.count, "sample_seed": recipe.sample.seed}
    if recipe.captions is not None and (captions := caption_params(recipe.captions)) is not None:
        params |= {"prompts_from": CAPTIONS, **captions}
    if recipe.classes != classes_found(params, recipe.attributes):
        params["classes"] = tags_of(recipe.classes)
    return params


def used_attributes(templates: Sequence[str]) -> list[str]:
    """The attributes of the templates in the order of their first use; templates with an error have none."""
    names: list[str] = []
    for template in templates:
        try:
            names += attributes_of(template)
        except ValueError:
            continue
    return list(dict.fromkeys(names))


def model_from(model: str) -> str:
    """Which of the form's three choices a model's name belongs to."""
    if model == BUILT_IN:
        return BUILTIN
    try:
        return HUB if locate(model).kind == "hub" else LOCAL
    except ModelError:
        return LOCAL


def model_of(params: Mapping[str, Any]) -> str:
    """The name of the model as the form's fields have it."""
    name = str(params.get("model") or "").strip()
    return BUILT_IN if params.get("model_from", LOCAL if name else BUILTIN) == BUILTIN else name
