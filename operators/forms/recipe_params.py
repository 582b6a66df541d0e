"""What the fields of the recipe form hold, and what a recipe says: each made from the other.

Lists are text in a form: templates one per line, values separated by commas, classes as ``person: pedestrian``.
Nothing is checked here, so that ``Recipe`` alone says what is wrong; ``place`` then finds the field that holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.files.strict_yaml import read_yaml, write_yaml
from diffucurate.generator.models.names import BUILT_IN, locate
from diffucurate.generator.recipe.diffugen import is_config, recipe_contents
from diffucurate.generator.recipe.recipe import MAX_SIDE, Recipe
from diffucurate.generator.text.class_mentions import phrase_forms
from diffucurate.generator.text.class_names import class_name
from diffucurate.generator.text.suggest_classes import likely_classes
from diffucurate.generator.text.templates import attributes_of
from diffucurate.operators.forms.caption_params import caption_params, captions_in
from diffucurate.operators.forms.recipe_texts import (
    joined,
    lines,
    loras_of,
    seeds_as_text,
    seeds_of,
    sizes_of,
    split,
    words_of,
)

Lists = dict[str, list[str]]

#: Where the recipe, the dataset and the model come from.
BUILT, PASTED, FILE = "built", "pasted", "file"
NEW, CURRENT = "new", "current"
BUILTIN, HUB, LOCAL = "builtin", "hub", "local"

#: What the form begins with: small enough to try at once.
EXAMPLE: dict[str, Any] = {
    "dataset": "my-streets",
    "model": BUILT_IN,
    "size": [128, 128],
    "steps": 20,
    "seeds": 2,
    "classes": {"car": ["car"], "bus": ["bus"]},
    "templates": ["a {colour} {object} on a road at {time}"],
    "attributes": {"colour": ["red", "blue"], "object": ["car", "bus"], "time": ["noon", "night"]},
}

#: A field that nobody sees: the classes that were found when the form was last drawn, as ``remembered`` writes them.
CLASSES_FOUND = "classes_found"

_LEFT_OUT = {"guidance": 5.0, "negative_prompt": "", "scheduler": "", "prompt_weights": False}

#: What the form has fields for; whatever else a recipe says goes through it as it is.
_SHOWN = frozenset({
    "dataset", "model", "size", "steps", "guidance", "seeds", "negative_prompt", "scheduler", "loras", "tokens",
    "prompt_weights", "classes", "templates", "attributes", "sample", "captions",
})  # fmt: skip

#: What the prompts are.
TEMPLATES, CAPTIONS = "templates", "captions"


def mapping_of(params: Mapping[str, Any], current: str | None = None) -> dict[str, Any]:
    """The recipe that the form's fields describe, as plain data that is still to be checked.

    Classes are found in the templates where none are named. Fields that were emptied are left to the recipe's
    own defaults; ``current`` is the dataset that the App shows.
    """
    captioned = params.get("prompts_from") == CAPTIONS
    templates = [] if captioned else lines(params.get("templates"))
    attributes = {name: split(params.get("attributes", {}).get(name)) for name in used_attributes(templates)}
    dataset = current if current and params.get("dataset_from") == CURRENT else params.get("dataset")
    mapping: dict[str, Any] = {"dataset": dataset or "", "model": _model(params)}
    kept = carried(params.get("recipe"))
    mapping |= {name: value for name, value in kept.items() if name != "attributes"}
    if params.get("width") is not None or params.get("height") is not None:
        size, others = [params.get("width"), params.get("height")], sizes_of(params.get("more_sizes"))
        mapping["size"] = [size, *others] if others else size
    for name in ("steps", "guidance", "negative_prompt", "scheduler", "prompt_weights"):
        if params.get(name) not in (None, _LEFT_OUT.get(name)):
            mapping[name] = params[name]
    for name, read in (("tokens", words_of), ("loras", loras_of)):
        if params.get(name):
            mapping[name] = read(params[name])
    if params.get("seeds") not in (None, ""):
        mapping["seeds"] = seeds_of(params["seeds"])
    if params.get("sample_count") is not None:
        mapping["sample"] = {"count": params["sample_count"], "seed": params.get("sample_seed") or 0}
    if captioned:
        mapping["captions"] = captions_in(params) or {}
    classes = classes_of(params["classes"]) if names_classes(params) else classes_found(params, attributes)
    if not templates:  # those of each picture, which only their values are said of
        attributes = kept.get("attributes", {})
    return {**mapping, "classes": classes, "templates": templates, "attributes": attributes}


def classes_found(params: Mapping[str, Any], attributes: Mapping[str, Sequence[str]]) -> Lists:
    """The classes that templates, or captions that are written in the form, most likely show."""
    if params.get("prompts_from") != CAPTIONS:
        return likely_classes(lines(params.get("templates")), attributes)
    texts = (captions_in(params) or {}).get("texts", [])
    return likely_classes([text.replace("{", "{{").replace("}", "}}") for text in texts], {})


def carried(text: Any) -> dict[str, Any]:
    """What a recipe's text says that the form has no field for, as plain data; nothing of what is no recipe."""
    try:
        recipe = Recipe.parse(text) if isinstance(text, str) and text else None
    except InvalidSetting:
        recipe = None
    if recipe is None:
        return {}
    fresh = {name: field.get_default(call_default_factory=True) for name, field in Recipe.model_fields.items()}
    names = [name for name in fresh if name not in _SHOWN and getattr(recipe, name) != fresh[name]]
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
    """The form's fields for a recipe; its classes only where they are not those that would be found anyway.

    What it has no field for is ``carried``'s.
    """
    params: dict[str, Any] = {
        "dataset": recipe.dataset,
        "templates": "\n".join(" ".join(template.split()) for template in recipe.templates),
        "attributes": {name: joined(listed) for name, listed in recipe.attributes.items()},
        "model_from": model_from(recipe.model),
        "seeds": seeds_as_text(recipe.seeds),
        "steps": recipe.steps,
        "guidance": recipe.guidance,
    }
    if recipe.sizes:
        params |= dict(zip(("width", "height"), recipe.sizes[0], strict=True))
        params["more_sizes"] = ", ".join(f"{width}x{height}" for width, height in recipe.sizes[1:])
    if params["model_from"] != BUILTIN:
        params["model"] = recipe.model
    params |= {name: value for name in ("negative_prompt", "scheduler") if (value := getattr(recipe, name))}
    if recipe.prompt_weights:
        params["prompt_weights"] = True
    if recipe.tokens:
        params["tokens"] = [f"{word.placeholder}={word.path}" for word in recipe.tokens]
    if recipe.loras:
        params["loras"] = [f"{lora.path}={lora.scale:g}" for lora in recipe.loras]
    if recipe.sample != "all":
        params |= {"sample_count": recipe.sample.count, "sample_seed": recipe.sample.seed}
    if recipe.captions is not None and (asked := caption_params(recipe.captions)) is not None:
        params |= {"prompts_from": CAPTIONS, **asked}
    if recipe.classes != classes_found(params, recipe.attributes):
        params["classes"] = tags_of(recipe.classes)
    return params


def as_text(mapping: Mapping[str, Any]) -> str:
    """A recipe as YAML for people: each template on a line of its own, no attributes where there are none."""
    head = {key: value for key, value in mapping.items() if key not in ("templates", "attributes")}
    listed = "".join(f"\n  - {json.dumps(text, ensure_ascii=False)}" for text in mapping["templates"]) or " []"
    tail = write_yaml({"attributes": mapping["attributes"]}) if mapping["attributes"] else ""
    return f"{write_yaml(head)}templates:{listed}\n{tail}"


def place(error: InvalidSetting, mapping: Mapping[str, Any]) -> tuple[str, str]:
    """The form's field that holds what is wrong (``attributes.colour``), and the sentence to put there.

    ``mapping`` is the recipe that was refused.
    """
    said = str(error).removeprefix(f"{error.field}: ").removesuffix(" without quotes")
    root, _, rest = error.field.partition(".")
    root = re.sub(r"^(tokens|loras)\[\d+\]$", r"\1", root)
    if root.partition("[")[0] not in _SHOWN:  # carried through the form, which has no field for it
        return root, str(error)
    if root == "captions" and mapping.get("captions") == {}:
        return "captions", "name a file of captions, or write some, one per line"
    if root == "captions":
        held = "captions_path" if "path" in mapping["captions"] else "captions"
        return {"class_prompt": "class_prompt", "instances": "instances_path"}.get(rest, held), said
    if not mapping["templates"] and "captions" not in mapping and not mapping.keys() - _SHOWN:
        return "templates", f"write at least one prompt, such as {EXAMPLE['templates'][0]}"
    if line := re.fullmatch(r"templates\[(\d+)\]", error.field):
        return "templates", said if len(mapping["templates"]) == 1 else f"line {int(line[1]) + 1}: {said}"
    if root == "attributes":
        # Without a value's index the name itself is wrong, and that stands in the templates.
        return (f"attributes.{rest.partition('[')[0]}", said) if rest else ("templates", said)
    if root == "classes" and not error.value:
        return "classes", "name at least one class, such as car"
    if root == "classes" and isinstance(error.value, list):
        return "classes", f"{rest or ', '.join(error.value)}: {error.remedy}"
    if root == "tokens" and error.value == "":
        return "tokens", "write each as its word and its file, as in <piano>=/home/me/piano.safetensors"
    if error.field == "sample":
        return "seeds", "these choices make more images than one recipe may hold; use fewer values or fewer seeds"
    if root == "dataset" and not error.value:
        return "dataset", "give the dataset a name"
    if root == "size" and "size" in mapping:
        first = mapping["size"]
        if isinstance(first[0], list):
            if error.value != first[0] or first[0] in first[1:]:
                return "more_sizes", said
            first = first[0]
        return ("height" if _is_side(first[0]) else "width"), error.remedy if None in first else said
    return {"sample": f"sample_{rest}"}.get(root, root), said


def used_attributes(templates: Sequence[str]) -> list[str]:
    """The attributes of those templates that can be taken apart, in the order of their first use."""
    found: list[str] = []
    for template in templates:
        try:
            found += attributes_of(template)
        except ValueError:
            continue
    return list(dict.fromkeys(found))


def classes_of(tags: Sequence[str] | None) -> Lists:
    """``["car", "person: pedestrian"]`` -> ``{"car": ["car"], "person": ["person", "pedestrian"]}``."""
    classes: Lists = {}
    for tag in tags or []:
        name, _, others = tag.partition(":")
        label = class_name(name) or name.strip()
        classes[label] = _different([*classes.get(label, []), name.strip(), *split(others)])
    return classes


def names_classes(params: Mapping[str, Any]) -> bool:
    """Whether someone chose the classes; else they are those that were found when the form was last drawn.

    The App fills a field with its default only after it has drawn the form, so it lags behind by one drawing.
    """
    return "classes" in params and remembered(params["classes"]) != params.get(CLASSES_FOUND)


def remembered(classes: Sequence[str] | None) -> str:
    """The content of ``CLASSES_FOUND`` for those classes."""
    return json.dumps(classes)


def tags_of(classes: Mapping[str, Sequence[str]]) -> list[str]:
    """Classes as ``classes_of`` reads them."""
    tags = []
    for name, phrases in classes.items():
        own = next((phrase for phrase in phrases if class_name(phrase) == name), name)
        others = [phrase for phrase in phrases if phrase != own]
        tags.append(f"{own}: {joined(others)}" if others else own)
    return tags


def model_from(model: str) -> str:
    """Which of the form's three choices a model's name belongs to."""
    if model == BUILT_IN:
        return BUILTIN
    try:
        return HUB if locate(model).kind == "hub" else LOCAL
    except ModelError:
        return LOCAL


def _model(params: Mapping[str, Any]) -> str:
    name = str(params.get("model") or "").strip()
    return BUILT_IN if params.get("model_from", LOCAL if name else BUILTIN) == BUILTIN else name


def _is_side(pixels: Any) -> bool:
    return isinstance(pixels, int) and pixels % 8 == 0 and 8 <= pixels <= MAX_SIDE


def _different(phrases: Sequence[str]) -> list[str]:
    """Without those that mean the same as one before."""
    found: dict[object, str] = {}
    for phrase in phrases:
        found.setdefault((phrase_forms(phrase) or (phrase,))[0], phrase)
    return list(found.values())
