"""The option ``class_map``: what a model with classes of its own calls those that are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.sources.spec import SourceOption

#: What ``SourceSpec.classes`` says of a source with this option.
MATCHED_CLASSES = (
    "What the model calls by a class's name or by one of its phrases is of that class, whatever the capitals, "
    "underscores or plural; the rest is left out"
)


def class_map_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Names of the model's classes -> names of classes, as the options of a request have them.

    Raises:
        InvalidSetting: an entry that is not of the form ``sedan=car``.
    """
    return dict(_named(text) for text in options.get(CLASS_MAP.name) or ())


def _named(text: str) -> tuple[str, str]:
    """``sedan=car``: what a class is called by the model, and here.

    Raises:
        InvalidSetting: the text is not of this form.
    """
    source, equals, target = (part.strip() for part in text.partition("="))
    if not (source and equals and target):
        raise InvalidSetting("class_map", text, "give the model's class and yours, as in sedan=car")
    return source, target


CLASS_MAP = SourceOption(
    "class_map",
    title="Class names",
    description="What the model calls a class, and what it is here, as in sedan=car. Names that differ in capitals, "
    "underscores or the plural match anyway.",
    kind="pairs",
    check=_named,
)
