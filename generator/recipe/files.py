"""Recipes as files and texts hold them: one in a recipe, one or more in a config of DiffuGen's. Knows no models.

Learned words that are pickles are converted on the way, where the caller says how: recipes themselves name none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from diffucurate.generator.files.strict_yaml import read_text, read_yaml, write_yaml
from diffucurate.generator.recipe.diffugen import is_config, recipe_contents
from diffucurate.generator.recipe.model_options import PICKLES
from diffucurate.generator.recipe.recipe import Recipe

#: The dotted name of a field and the path of the pickle that it names -> the path of the same as safetensors.
Converter: TypeAlias = Callable[[str, str], Path]


def recipes_in(source: str | Path | Mapping[str, Any], converted: Converter | None = None) -> list[Recipe]:
    """The recipes of a file, or of the content of one, in the order in which they are to be painted.

    Args:
        source: the path of a file, or its content as a mapping.
        converted: converts learned words that are pickles; by default they are refused.

    Raises:
        RecipeError: the file cannot be read, or what it says is wrong.
    """
    return recipes_of(source if isinstance(source, Mapping) else read_yaml(read_text(source)), converted)


def recipes_of(content: Any, converted: Converter | None = None) -> list[Recipe]:
    """The recipes of what ``read_yaml`` gave; see ``recipes_in``."""
    sections = recipe_contents(content) if is_config(content) else [content]
    if converted is not None:
        sections = [_with_words(section, converted) for section in sections]
    return [Recipe.from_mapping(section) for section in sections]


def recipe_text(recipe: Recipe | Mapping[str, Any]) -> str:
    """A recipe, or the content of one, as the YAML that ``Recipe.parse`` reads.

    Written for people: each template on a line of its own, and of a recipe only the keys that say more than their
    defaults.
    """
    content = _said(recipe) if isinstance(recipe, Recipe) else recipe
    head = {key: value for key, value in content.items() if key not in ("templates", "attributes")}
    templates = "".join(f"\n  - {json.dumps(text, ensure_ascii=False)}" for text in content["templates"]) or " []"
    attributes = write_yaml({"attributes": content["attributes"]}) if content["attributes"] else ""
    return f"{write_yaml(head)}templates:{templates}\n{attributes}"


#: The keys of a recipe that are written whatever they are: what it is for, and what paints it.
_ALWAYS = frozenset({"dataset", "model", "seeds", "classes", "templates", "attributes"})


def _said(recipe: Recipe) -> dict[str, Any]:
    """The keys of a recipe that differ from their defaults, as plain data."""
    content = recipe.model_dump(mode="json", exclude_none=True)
    defaults = {name: field.get_default(call_default_factory=True) for name, field in Recipe.model_fields.items()}
    left_out = [name for name in content if name not in _ALWAYS and getattr(recipe, name) == defaults[name]]
    left_out += recipe.left_to_model
    return {name: value for name, value in content.items() if name not in left_out}


def _with_words(content: Any, converted: Converter) -> Any:
    """The content with its pickled words converted; what is no word at all is left for the recipe to refuse."""
    words = content.get("tokens") if isinstance(content, Mapping) else None
    if not isinstance(words, list):
        return content
    return {**content, "tokens": [_with_word(word, index, converted) for index, word in enumerate(words)]}


def _with_word(word: Any, index: int, converted: Converter) -> Any:
    path = word.get("path") if isinstance(word, Mapping) else None
    if not isinstance(path, str) or PurePath(path).suffix.lower() not in PICKLES:
        return word
    return {**word, "path": str(converted(f"tokens[{index}].path", path))}
