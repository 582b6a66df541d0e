"""Which words of a DiffuGen config mean which of its classes. Knows names only.

Its ``dataset_to_model_class_map`` says which class of the label model stands for one of the dataset's, and several can
share one: such a name distinguishes no class and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.recipe.checks import check_mentions
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.text.class_names import class_name
from diffucurate.generator.text.templates import attributes_of

Classes: TypeAlias = dict[str, list[str]]


def classes_in(config: Mapping[str, Any], objects: Mapping[str, str]) -> Classes:
    """Class -> the phrases that mean it: its name, and what the map calls it alone.

    An object name belongs to the class of which one of these occurs in it. The only class there is takes all. Where
    labels are made without a label model (``unsupervised``), an object name that means no class is a class of its own.
    ``objects`` are these names, each with the field that holds it.

    Raises:
        RecipeError: lists or map are of another type, or an object name means no class, or several.
    """
    names = config["dataset_classes"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RecipeError("dataset_classes", names, "it must be a list of texts with at least one in it")
    aliases = config.get("dataset_to_model_class_map") or {}
    if not isinstance(aliases, Mapping):
        raise RecipeError("dataset_to_model_class_map", aliases, "it must be a mapping")
    called = {name: _aliases(name, aliases) for name in names}
    shared = [*names, *(alias for own in called.values() for alias in dict.fromkeys(own))]
    classes = {
        _identifier(name): [name, *dict.fromkeys(alias for alias in called[name] if shared.count(alias) == 1)]
        for name in names
    }
    for object_name, field in objects.items():
        labels = _meant(object_name, classes)
        if not labels and config.get("unsupervised") is True:
            classes[class_name(object_name) or _identifier(object_name)] = [object_name]
            continue
        if len(labels) != 1:
            which = f"means {' and '.join(labels)}" if labels else f"names none of the classes ({', '.join(names)})"
            remedy = f"it {which}; say which it is in dataset_to_model_class_map, or write a recipe with its classes"
            raise RecipeError(field, object_name, remedy)
        if not find_phrases(object_name, classes):
            classes[labels[0]].append(object_name)
    return classes


def with_replacements(classes: Classes, replaced: Mapping[str, Sequence[str]]) -> Classes:
    """The classes with what replaces the objects of an object name, wherever that names no class itself."""
    grown = {name: list(phrases) for name, phrases in classes.items()}
    for object_name, others in replaced.items():
        for other in others:
            if not find_phrases(other, grown):
                grown[_meant(object_name, classes)[0]].append(other)
    return grown


def named_like(object_name: str, classes: Mapping[str, Sequence[str]]) -> list[str]:
    """The class that an object name means, alone in a list."""
    return _meant(object_name, classes)


def mentioned(classes: Classes, templates: Sequence[str], attributes: Mapping[str, Sequence[str]]) -> Classes:
    """The classes that some prompt names: a recipe takes no others, as there is nothing of theirs to be found."""
    if not all(name in attributes for template in templates for name in attributes_of(template)):
        return classes  # the recipe says what is missing
    kept = dict(classes)
    while kept:
        try:
            check_mentions(kept, templates, {name: list(values) for name, values in attributes.items()})
        except RecipeError as error:
            del kept[error.field.removeprefix("classes.")]
        else:
            return kept
    return classes


def _meant(object_name: str, classes: Mapping[str, Sequence[str]]) -> list[str]:
    return list(classes) if len(classes) == 1 else list(find_phrases(object_name, classes))


def _aliases(name: str, aliases: Mapping[str, Any]) -> list[str]:
    """What a map of classes calls ``name``, whichever way round it was written."""
    direct = aliases.get(name)
    others = [
        *([direct] if isinstance(direct, str) else direct or []),
        *(other for other, target in aliases.items() if target == name),
    ]
    return [alias for alias in dict.fromkeys(others) if alias != name]


def _identifier(name: str) -> str:
    return "_".join(name.split())
