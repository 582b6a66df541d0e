"""Reads DiffuGen's configs: each section of its JSON becomes the content of a recipe. Knows no models and no datasets.

What a config says about files, shards and the label model has its place elsewhere here: exports, ``label``. Which of
its object names mean which class follows from the names: see ``diffugen_classes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.recipe.diffugen_classes import Classes, classes_in, mentioned, named_like, with_replacements
from diffucurate.generator.recipe.init_image_config import REPLACE, TEXT, VARY
from diffucurate.generator.text.templates import attributes_of

#: The lists of a config's sections -> the names by which its prompts use them.
ATTRIBUTES = {
    "object_names": "object_name", "view_points": "view_point", "times_of_day": "time_of_day",
    "sky_conditions": "sky_condition", "weather_conditions": "weather_condition",
}  # fmt: skip

#: The field with the objects of a folder that DiffuGen wrote.
LABELS = "diffugen"

#: How far its img2img goes from an init image: diffusers' own default, which it leaves as it is.
STRENGTH = 0.8

_SECTIONS = (TEXT, VARY, REPLACE)


def is_config(content: Any) -> bool:
    """Whether this is a config of DiffuGen's rather than a recipe."""
    named = isinstance(content, Mapping) and "dataset_name" in content
    return named and not {*_SECTIONS, "dataset_classes"}.isdisjoint(content)


def recipe_contents(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The contents of the recipes that paint what a config asks for, in the order in which one starts from another.

    One for txt2img, one for img2img, and for inpaint one for each object name and view point, as the objects that
    replace an init image's own depend on these. Each section has a dataset of its own.

    Raises:
        RecipeError: something is missing, of another type, or an object name means none of the classes. Whatever else
            is wrong is said when the content becomes a ``Recipe``.
    """
    for name in ("dataset_name", "dataset_classes"):
        if name not in config:
            raise RecipeError(name, None, "a DiffuGen config needs it; write it, or write a recipe")
    if config.keys().isdisjoint(_SECTIONS):
        raise RecipeError(TEXT, None, "a DiffuGen config needs it, or img2img or inpaint; write it, or write a recipe")
    sections = {name: _mapping(config[name], name) for name in _SECTIONS if name in config}
    text = sections.get(TEXT, {})
    prompts = _texts(text.get("prompts"), "txt2img.prompts") if TEXT in sections else []
    attributes = _attributes(text, TEXT, prompts)
    replaced = {name: _texts(new, f"{REPLACE}.{name}") for name, new in _replacements(sections.get(REPLACE, {}))}
    named = dict.fromkeys(attributes.get("object_name", []), "txt2img.object_names")
    classes = classes_in(config, {**{name: f"{REPLACE}.{name}" for name in replaced}, **named})
    contents = []
    if TEXT in sections:
        contents.append(
            {
                **_shared(config, text, TEXT),
                "classes": mentioned(classes, prompts, attributes),
                "templates": prompts,
                "attributes": attributes,
                **_words(text),
                **_seeds(text),
            }
        )
    if VARY in sections:
        section = sections[VARY]
        changes = _attributes(section, VARY, prompts)
        contents.append(
            {
                **_shared(config, section, VARY),
                "classes": classes,
                "attributes": changes,
                "strength": STRENGTH,
                "source": _source(config, section, VARY),
                **_words(text),
            }
        )
    views: list[str | None] = [*(attributes.get("view_point") or _listed(text, "view_points", TEXT))]
    used = None if not prompts else set(attributes)
    grown = with_replacements(classes, replaced)
    for name, new in replaced.items():
        for view in views or [None]:
            contents.append(_replacing(config, sections[REPLACE], grown, name, new, view, used))
    return contents


def _replacing(
    config: Mapping[str, Any], section: Mapping[str, Any], classes: Classes, name: str, new: Sequence[str],
    view: str | None, used: set[str] | None,
) -> dict[str, Any]:  # fmt: skip
    """The recipe that replaces the largest object of each init image of a ``name``, seen as ``view`` says.

    ``used`` are the attributes that the init images' prompts have, None where that is not known.
    """
    source = _source(config, section, REPLACE)
    own, where = "dataset" in source, {"object_name": [name]}
    attributes = {"object_name": list(new)}
    if view is not None and (used is None or "view_point" in used):
        where, attributes = {**where, "view_point": [view]}, {"view_point": [view], **attributes}
    template = "a {view_point} view of {object_name}" if "view_point" in attributes else "a view of {object_name}"
    replaced = {"classes": named_like(name, classes)} if own else {}
    known = {key: values for key, values in where.items() if not own or used is None or key in used}
    return {
        **_shared(config, section, REPLACE),
        **_size(config),
        "classes": mentioned(classes, [template], attributes),
        "templates": [template],
        "attributes": attributes,
        "source": {**source, "where": known or None},
        "objects": {"field": "attention" if own else LABELS, **replaced},
    }


def _shared(config: Mapping[str, Any], section: Mapping[str, Any], task: str) -> dict[str, Any]:
    """What all recipes of a config say alike, and the section's own model and dataset."""
    content: dict[str, Any] = {"dataset": _dataset(config["dataset_name"], task), "task": task, "prompt_weights": True}
    if "stable_diffusion_model" in section:
        content["model"] = section["stable_diffusion_model"]
    if task == TEXT:
        content |= _size(config)
    if "steps" in config:
        content["steps"] = config["steps"]
    text = config.get(TEXT, {})
    if isinstance(text, Mapping) and text.get("negative_prompt"):
        content["negative_prompt"] = text["negative_prompt"]
    return content


def _dataset(name: Any, task: str) -> Any:
    return name if task == TEXT else f"{name}-{task}"


def _size(config: Mapping[str, Any]) -> dict[str, Any]:
    if "image_size" not in config:
        return {}
    size = _mapping(config["image_size"], "image_size")
    return {"size": [size.get("width"), size.get("height")]}


def _words(section: Mapping[str, Any]) -> dict[str, Any]:
    """The learned word of its prompts."""
    if not section.get("textual_inversion"):
        return {}
    learned = _mapping(section["textual_inversion"], "txt2img.textual_inversion")
    return {"tokens": [{"path": learned.get("weights"), "placeholder": learned.get("keyword")}]}


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


def _source(config: Mapping[str, Any], section: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The folder that it names; the dataset of this config's own section where the folder is what that would write."""
    path = section.get("source_dataset")
    if not isinstance(path, str) or not path:
        raise RecipeError(f"{task}.source_dataset", path, "name the folder whose images are the start")
    name, written = config["dataset_name"], PurePath(path).parts[-2:]
    own = [(name, other) for other in (TEXT, VARY) if other in config and other != task]
    if written in own and not Path(path).expanduser().is_dir():
        return {"dataset": _dataset(name, written[-1])}
    return {"folder": path}


def _attributes(section: Mapping[str, Any], task: str, prompts: Sequence[str]) -> dict[str, list[str]]:
    """The lists of a section that have values and that a prompt uses; all of them where there are no prompts."""
    used = {name for prompt in prompts for name in _used(prompt)}
    return {
        name: values
        for key, name in ATTRIBUTES.items()
        if (not prompts or name in used) and (values := _listed(section, key, task))
    }


def _replacements(section: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Object names of an inpaint section with what replaces these objects: all keys but those of its settings."""
    return [pair for pair in section.items() if pair[0] not in ("stable_diffusion_model", "source_dataset")]


def _used(prompt: str) -> tuple[str, ...]:
    try:
        return attributes_of(prompt)
    except ValueError as error:
        raise RecipeError("txt2img.prompts", prompt, str(error)) from None


def _mapping(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RecipeError(field, value, "it must be a mapping")
    return value


def _listed(section: Mapping[str, Any], key: str, task: str) -> list[str]:
    return _texts(section[key], f"{task}.{key}") if section.get(key) else []


def _texts(value: Any, field: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise RecipeError(field, value, "it must be a list of texts with at least one in it")
    return list(value)
