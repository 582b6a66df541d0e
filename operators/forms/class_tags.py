"""Classes as the tags of a form's field, such as ``person: pedestrian``, and whether a person chose them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from diffucurate.generator.text.class_mentions import phrase_forms
from diffucurate.generator.text.class_names import class_name
from diffucurate.generator.text.parsing import join_values, split_values

Lists = dict[str, list[str]]

#: A hidden field: the classes that were suggested when the form was last drawn, as ``remembered`` writes them.
CLASSES_FOUND = "classes_found"


def classes_of(tags: Sequence[str] | None) -> Lists:
    """``["car", "person: pedestrian"]`` -> ``{"car": ["car"], "person": ["person", "pedestrian"]}``."""
    classes: Lists = {}
    for tag in tags or []:
        name, _, others = tag.partition(":")
        label = class_name(name) or name.strip()
        classes[label] = _different([*classes.get(label, []), name.strip(), *split_values(others)])
    return classes


def tags_of(classes: Mapping[str, Sequence[str]]) -> list[str]:
    """Classes as ``classes_of`` reads them."""
    tags = []
    for name, phrases in classes.items():
        own = next((phrase for phrase in phrases if class_name(phrase) == name), name)
        others = [phrase for phrase in phrases if phrase != own]
        tags.append(f"{own}: {join_values(others)}" if others else own)
    return tags


def names_classes(params: Mapping[str, Any]) -> bool:
    """Whether a person chose the classes; else they are those that the form suggested when it was last drawn.

    The App fills a field with its default only after it has drawn the form, so the field is one drawing late.
    """
    return "classes" in params and remembered(params["classes"]) != params.get(CLASSES_FOUND)


def remembered(classes: Sequence[str] | None) -> str:
    """The text of the field ``CLASSES_FOUND`` for these classes."""
    return json.dumps(classes)


def _different(phrases: Sequence[str]) -> list[str]:
    """Without those that mean the same as one before."""
    by_meaning: dict[object, str] = {}
    for phrase in phrases:
        by_meaning.setdefault((phrase_forms(phrase) or (phrase,))[0], phrase)
    return list(by_meaning.values())
