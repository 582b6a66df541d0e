"""What a library's error says in a form: the value as the field takes it, in the words of the form's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffucurate.generator.errors import DiffucurateError, InvalidSetting
from diffucurate.generator.text.parsing import join_values

#: A longer value is cut.
_LONGEST = 120


#: What a remedy recommends in the words of recipe files -> the same as a field takes it.
_EXAMPLES = {
    "a list of whole numbers, or {count: 3} for random ones": "seeds such as 3, 7, 21, or such as 3 random",
    "as in [128, 128]": "such as 128x96",
    "as in {time: [night]}": "such as time=night",
    "as in {car: [car, sedan]}": "such as car",
    "take a part with {count: 1000}": "take a part by 'At most'",
}


def on_field(error: DiffucurateError) -> str:
    """The sentence that stands below the field that the error is about."""
    if not isinstance(error, InvalidSetting):
        return str(error)
    value, remedy = as_typed(error.value, error.field), error.remedy
    for in_file, typed in _EXAMPLES.items():
        remedy = remedy.replace(in_file, typed)
    return f"{value}: {remedy}" if value else remedy


def with_label(error: DiffucurateError, label: str | None) -> str:
    """The sentence where the field is not in sight: it is named by its label, by the library's own name without one."""
    if not isinstance(error, InvalidSetting):
        return str(error)
    return f"{label or error.field.replace('_', ' ')}: {on_field(error)}"


def as_typed(value: object, field: str = "") -> str:
    """A value as a person types it into the field: ``3 random``, ``128x96``, ``train=0.8, val=0.2``, ``car, bus``."""
    text = _typed(value, field)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _typed(value: object, field: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return _of_list(value, field)
    return str(value).strip()


def _of_mapping(value: Mapping[Any, Any]) -> str:
    if "count" in value:  # random seeds, or an even mix
        ends = f" from {value['lowest']} to {value['highest']}" if {"lowest", "highest"} <= value.keys() else ""
        return f"{_typed(value['count'], '')} random{ends}"
    if "path" in value:  # a learned word or a LoRA
        before, after = value.get("placeholder"), value.get("scale")
        return (f"{before}=" if before else "") + str(value["path"]) + (f"={after:g}" if after is not None else "")
    return ", ".join(f"{name}={_typed(each, '')}" for name, each in value.items())


def _of_list(value: Sequence[Any], field: str) -> str:
    if field.partition("[")[0] == "size":
        if value and isinstance(value[0], Sequence) and not isinstance(value[0], str):
            return ", ".join(_of_list(size, field) for size in value)
        return "x".join(_typed(side, "") for side in value)
    return join_values([_typed(each, "") for each in value])
