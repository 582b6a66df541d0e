"""What the App's *Annotate* tab lets a person change of a source's instances: box, class and tags.

FiftyOne asks for a label schema of a field before it lets anyone annotate it. Ours makes ``human`` the tag of what is
drawn anew, and a box to tick on what is mended: such instances survive relabelling (``generator.labels.drawn``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fiftyone as fo

from diffucurate.generator.labels.model import HUMAN
from diffucurate.plugin.store.decisions import DECIDED

#: From so many classes on they are a list to choose from instead of buttons.
_BUTTONS = 5


def declare_annotation(dataset: fo.Dataset, field: str, classes: Iterable[str]) -> None:
    """Let the App annotate the Detections ``field``; a schema that is there only gets the classes that it lacks.

    Does nothing for a FiftyOne that knows no label schemas.
    """
    if not hasattr(dataset, "update_label_schema"):
        return
    names = list(classes)
    schema = dataset.label_schemas.get(field)
    if schema is None:
        if names:
            dataset.update_label_schema(field, _schema(names), allow_new_attrs=True)
            dataset.activate_label_schemas(field)
        return
    present = schema.get("classes")
    if isinstance(present, list) and not set(names) <= set(present):
        merged = list(dict.fromkeys([*present, *names]))
        dataset.update_label_schema(
            field, {**schema, "classes": merged, "component": _component(merged)}, allow_new_attrs=True
        )


def _schema(classes: list[str]) -> dict[str, Any]:
    tags = {
        "name": "tags",
        "type": "list<str>",
        "component": "checkboxes",
        "values": [HUMAN, *DECIDED],
        "default": [HUMAN],
    }
    confidence = {"name": "confidence", "type": "float", "component": "text", "read_only": True}
    return {
        "type": "detections",
        "component": _component(classes),
        "classes": classes,
        "attributes": [tags, confidence],
    }


def _component(classes: list[str]) -> str:
    return "radio" if len(classes) <= _BUTTONS else "dropdown"
