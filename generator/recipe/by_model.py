"""The keys of a recipe that follow from its model where they are left out. Those of the built-in model are fixed."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationInfo

#: The name of the built-in model.
BUILT_IN = "tiny"

#: What the built-in model was trained at, and paints well with.
BUILT_IN_VALUES: dict[str, Any] = {"size": (128, 128), "steps": 20, "guidance": 5.0}

#: The keys; None in a recipe until its model is known (``generator.models.completed``).
BY_MODEL = tuple(BUILT_IN_VALUES)


def of_built_in(value: Any, info: ValidationInfo) -> Any:
    """The value of a key, that of the built-in model where the recipe names this model and leaves the key out."""
    if value is None and info.field_name is not None and info.data.get("model") == BUILT_IN:
        return BUILT_IN_VALUES[info.field_name]
    return value
