"""Reads DiffuGen's configs: its JSON becomes the content of a recipe. Knows no models.

What a config says about files, shards and the label model has its place elsewhere here: exports, ``label``. What it
leaves open, which of its object names mean which class, is told from the names, as ``_classes`` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.phrases import find_phrases
from diffucurate.generator.templates import attributes_of

#: The lists of a config's txt2img section -> the names by which its prompts use them.
ATTRIBUTES = {
    "object_names": "object_name", "view_points": "view_point", "times_of_day": "time_of_day",
    "sky_conditions": "sky_condition", "weather_conditions": "weather_condition",
}  # fmt: skip

_NEEDED = ("dataset_name", "dataset_classes", "txt2img")


def is_config(content: Any) -> bool:
    """Whether this is a config of DiffuGen's rather than a recipe."""
    named = isinstance(content, Mapping) and "dataset_name" in content
    return named and not {"txt2img", "dataset_classes"}.isdisjoint(content)


def recipe_content(config: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the recipe that paints what a config's txt2img section asks for.

    Raises:
        RecipeError: something is missing, of another type, or an object name means none of the classes. Whatever else
            is wrong is said when the content becomes a ``Recipe``.
    """
    for name in _NEEDED:
        if name not in config:
            raise RecipeError(name, None, "a DiffuGen config needs it; write it, or write a recipe")
    section = _mapping(config["txt2img"], "txt2img")
    prompts = _texts(section.get("prompts"), "txt2img.prompts")
    used = {name for prompt in prompts for name in _used(prompt)}
    listed = {name: key for key, name in ATTRIBUTES.items() if key in section and name in used}
    attributes = {name: _texts(section[key], f"txt2img.{key}") for name, key in listed.items()}
    content: dict[str, Any] = {
        "dataset": config["dataset_name"],
        "classes": _classes(config, attributes.get("object_name", [])),
        "templates": prompts,
        "attributes": attributes,
        "prompt_weights": True,
    }
    if "stable_diffusion_model" in section:
        content["model"] = section["stable_diffusion_model"]
    if "image_size" in config:
        size = _mapping(config["image_size"], "image_size")
        content["size"] = [size.get("width"), size.get("height")]
    if "steps" in config:
        content["steps"] = config["steps"]
    if section.get("negative_prompt"):
        content["negative_prompt"] = section["negative_prompt"]
    if section.get("textual_inversion"):
        learned = _mapping(section["textual_inversion"], "txt2img.textual_inversion")
        content["tokens"] = [{"path": learned.get("weights"), "placeholder": learned.get("keyword")}]
    return {**content, **_seeds(section)}


def _seeds(section: Mapping[str, Any]) -> dict[str, Any]:
    """Random seeds from its range, as many per prompt as it says; all of a range that has no more."""
    count = section.get("seed_count_per_prompt", 1)
    if "seed_range" not in section:
        return {"seeds": count}
    ends = _mapping(section["seed_range"], "txt2img.seed_range")
    least, most = ends.get("min", 0), ends.get("max", 0)
    if not all(isinstance(end, int) for end in (least, most)) or most < least:
        raise RecipeError("txt2img.seed_range", dict(ends), "give whole numbers, as in {min: 0, max: 1000}")
    if isinstance(count, int) and most - least + 1 <= count:
        return {"seeds": list(range(least, most + 1))}
    return {"seeds": {"count": count, "lowest": least, "highest": most}}


def _classes(config: Mapping[str, Any], objects: Sequence[str]) -> dict[str, list[str]]:
    """Class -> the phrases that mean it: its name, the names that ``dataset_to_model_class_map`` gives it, and the
    object names in which one of these occurs. The only class there is takes all object names."""
    names = _texts(config["dataset_classes"], "dataset_classes")
    aliases = _mapping(config.get("dataset_to_model_class_map") or {}, "dataset_to_model_class_map")
    meanings = {name: [name, *_aliases(name, aliases)] for name in names}
    classes = {_identifier(name): list(dict.fromkeys(phrases)) for name, phrases in meanings.items()}
    for thing in objects:
        found = list(classes) if len(classes) == 1 else list(find_phrases(thing, classes))
        if len(found) != 1:
            which = f"means {' and '.join(found)}" if found else f"names none of the classes ({', '.join(names)})"
            remedy = f"it {which}; say which it is in dataset_to_model_class_map, or write a recipe with its classes"
            raise RecipeError("txt2img.object_names", thing, remedy)
        if not find_phrases(thing, classes):
            classes[found[0]].append(thing)
    return classes


def _aliases(name: str, aliases: Mapping[str, Any]) -> list[str]:
    """What a map of classes calls ``name``, whichever way round it was written."""
    direct = aliases.get(name)
    return [
        *([direct] if isinstance(direct, str) else direct or []),
        *(other for other, target in aliases.items() if target == name),
    ]


def _identifier(name: str) -> str:
    return "_".join(name.split())


def _used(prompt: str) -> tuple[str, ...]:
    try:
        return attributes_of(prompt)
    except ValueError as error:
        raise RecipeError("txt2img.prompts", prompt, str(error)) from None


def _mapping(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RecipeError(field, value, "it must be a mapping")
    return value


def _texts(value: Any, field: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise RecipeError(field, value, "it must be a list of texts with at least one in it")
    return list(value)
