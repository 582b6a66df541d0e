"""What the fields of the recipe form hold, and what a recipe says: each made from the other.

Lists are text in a form: templates one per line, values separated by commas, classes as ``person: pedestrian``.
Nothing is checked here, so that ``Recipe`` alone says what is wrong; ``place`` then finds the field that holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from diffucurate.generator.errors import ModelError, RecipeError
from diffucurate.generator.model_names import BUILT_IN, locate
from diffucurate.generator.nouns import class_name, likely_classes
from diffucurate.generator.phrases import phrase_forms
from diffucurate.generator.recipe import MAX_SIDE, Recipe
from diffucurate.generator.strict_yaml import write_yaml
from diffucurate.generator.templates import attributes_of

Lists = dict[str, list[str]]

#: Where the images go and where the model comes from.
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

_LEFT_OUT = {"guidance": 5.0, "negative_prompt": "", "scheduler": ""}


def mapping_of(params: Mapping[str, Any], current: str | None = None) -> dict[str, Any]:
    """The recipe that the form's fields describe, as plain data that is still to be checked.

    Classes are found in the templates where none are named. Fields that were emptied are left to the recipe's
    own defaults; ``current`` is the dataset that the App shows.
    """
    templates = lines(params.get("templates"))
    attributes = {name: split(params.get("attributes", {}).get(name)) for name in used_attributes(templates)}
    dataset = current if current and params.get("dataset_from") == CURRENT else params.get("dataset")
    mapping: dict[str, Any] = {"dataset": dataset or "", "model": _model(params)}
    if params.get("width") is not None or params.get("height") is not None:
        mapping["size"] = [params.get("width"), params.get("height")]
    for name in ("steps", "guidance", "negative_prompt", "scheduler"):
        if params.get(name) not in (None, _LEFT_OUT.get(name)):
            mapping[name] = params[name]
    if params.get("seeds") not in (None, ""):
        mapping["seeds"] = _seeds(params["seeds"])
    if params.get("sample_count") is not None:
        mapping["sample"] = {"count": params["sample_count"], "seed": params.get("sample_seed") or 0}
    classes = classes_of(params["classes"]) if names_classes(params) else likely_classes(templates, attributes)
    return {**mapping, "classes": classes, "templates": templates, "attributes": attributes}


def params_of(recipe: Recipe) -> dict[str, Any]:
    """The form's fields for a recipe; its classes only where they are not those that would be found anyway.

    The form is one for images from text: of a recipe whose images start from pictures it takes what those share.
    """
    width, height = recipe.sizes[0] if recipe.sizes else (128, 128)
    params: dict[str, Any] = {
        "dataset": recipe.dataset,
        "templates": "\n".join(" ".join(template.split()) for template in recipe.templates),
        "attributes": {name: joined(listed) for name, listed in recipe.attributes.items()},
        "model_from": model_from(recipe.model),
        "width": width,
        "height": height,
        "seeds": str(recipe.seeds) if isinstance(recipe.seeds, int) else _listed(recipe.seed_list),
        "steps": recipe.steps,
        "guidance": recipe.guidance,
    }
    if params["model_from"] != BUILTIN:
        params["model"] = recipe.model
    params |= {name: value for name in ("negative_prompt", "scheduler") if (value := getattr(recipe, name))}
    if recipe.sample != "all":
        params |= {"sample_count": recipe.sample.count, "sample_seed": recipe.sample.seed}
    if recipe.classes != likely_classes(recipe.templates, recipe.attributes):
        params["classes"] = tags_of(recipe.classes)
    return params


def as_text(mapping: Mapping[str, Any]) -> str:
    """A recipe as YAML for people: each template on a line of its own, no attributes where there are none."""
    head = {key: value for key, value in mapping.items() if key not in ("templates", "attributes")}
    listed = "".join(f"\n  - {json.dumps(text, ensure_ascii=False)}" for text in mapping["templates"]) or " []"
    tail = write_yaml({"attributes": mapping["attributes"]}) if mapping["attributes"] else ""
    return f"{write_yaml(head)}templates:{listed}\n{tail}"


def place(error: RecipeError, mapping: Mapping[str, Any]) -> tuple[str, str]:
    """The form's field that holds what is wrong (``attributes.colour``), and the sentence to put there.

    ``mapping`` is the recipe that was refused.
    """
    said = str(error).removeprefix(f"{error.field}: ").removesuffix(" without quotes")
    root, _, rest = error.field.partition(".")
    if not mapping["templates"]:
        return "templates", f"write at least one prompt, such as {EXAMPLE['templates'][0]}"
    if line := re.fullmatch(r"templates\[(\d+)\]", error.field):
        return "templates", said if len(mapping["templates"]) == 1 else f"line {int(line[1]) + 1}: {said}"
    if root == "attributes":
        # Without a value's index the name itself is wrong, and that stands in the templates.
        return (f"attributes.{rest.partition('[')[0]}", said) if rest else ("templates", said)
    if root == "classes" and not error.value:
        return "classes", "name at least one class, such as car"
    if root == "classes" and isinstance(error.value, list):
        return "classes", f"{rest}: {error.remedy}"
    if error.field == "sample":
        return "seeds", "these choices make more images than one recipe may hold; use fewer values or fewer seeds"
    if root == "dataset" and not error.value:
        return "dataset", "give the dataset a name"
    if root == "size":
        width, height = mapping["size"]
        return ("height" if _is_side(width) else "width"), error.remedy if None in (width, height) else said
    return {"sample": f"sample_{rest}"}.get(root, root), said


def lines(text: str | Sequence[str] | None) -> list[str]:
    """Templates as text, one per line, or as a list; blank ones are left out."""
    parts = text.splitlines() if isinstance(text, str) else text or []
    return [part.strip() for part in parts if part.strip()]


def split(text: str | Sequence[str] | None) -> list[str]:
    """``"red, blue"`` or a list -> ``["red", "blue"]``; where there is a semicolon, it separates instead of commas."""
    if isinstance(text, str):
        text = re.split(r"[;\n]" if ";" in text else r"[,\n]", text)
    return [part.strip() for part in text or [] if part.strip()]


def joined(listed: Sequence[str]) -> str:
    """The text that ``split`` reads as that list."""
    if not any("," in value for value in listed):
        return ", ".join(listed)
    return "; ".join(listed) + (";" if len(listed) == 1 else "")


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


def _listed(seeds: Sequence[int]) -> str:
    """Seeds as ``_seeds`` reads them: one alone keeps a comma, else it would be a number of seeds."""
    return ", ".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def _seeds(text: Any) -> Any:
    """``"3"`` -> 3, ``"3, 7"`` or ``"3,"`` -> a list; anything else stays, for the recipe to refuse."""
    if not isinstance(text, str):
        return text
    if re.fullmatch(r"\s*-?\d{1,12}\s*", text):
        return int(text)
    parts = split(text)
    return [int(part) for part in parts] if all(re.fullmatch(r"-?\d{1,12}", part) for part in parts) else text


def _different(phrases: Sequence[str]) -> list[str]:
    """Without those that mean the same as one before."""
    found: dict[object, str] = {}
    for phrase in phrases:
        found.setdefault((phrase_forms(phrase) or (phrase,))[0], phrase)
    return list(found.values())
