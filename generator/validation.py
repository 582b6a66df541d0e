"""What is wrong with a config, in one plain sentence. Knows pydantic, but no particular config."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from diffucurate.generator.errors import RecipeError

_EXPECTED = {
    "bool_type": "write true or false",
    "string_type": "write a text; put it in quotes if it looks like a number, a date or yes/no",
    "string_too_short": "it must not be empty",
    "int_type": "write a whole number without quotes",
    "int_from_float": "write a whole number",
    "float_type": "write a number without quotes",
    "finite_number": "write a finite number",
    "list_type": "write a list, as in [red, blue]",
    "model_type": "write a mapping of its keys, as in {path: file.safetensors}",
    "dict_type": "write a mapping, as in {colour: [red, blue]}",
}


def in_one_sentence(
    error: ValidationError,
    model: type[BaseModel],
    *,
    within: tuple[str, ...] = (),
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> RecipeError:
    """The one of pydantic's complaints that most likely explains the others, as a ``RecipeError``.

    Args:
        error: what validating ``model`` raised.
        model: the config, whose fields are named where a key is unknown.
        within: where the config sits in a larger one.
        limits: field -> (least, most), for a message that names both ends of a range.
    """
    # An unknown key before a missing one: a slip in a key's name causes both.
    problem = min(error.errors(), key=lambda item: {"extra_forbidden": 0, "missing": 2}.get(item["type"], 1))
    kind, value, context = problem["type"], problem["input"], problem.get("ctx", {})
    location = [*within, *problem["loc"]]
    if location[-1] == "[key]":
        return RecipeError(dotted(location[:-2]), value, "a name must be a text; put it in quotes")
    field = dotted(location)
    if kind == "extra_forbidden":
        known = ", ".join(model.model_fields)
        hint = suggestion(location[-1], model.model_fields) or f"; the keys are {known}"
        return RecipeError(field, value, f"this is not a key of {within[-1] if within else 'a recipe'}{hint}")
    if kind == "missing":
        return RecipeError(field, None, "it is missing and has no default; write it")
    if kind == "literal_error":
        return RecipeError(field, value, f"it must be {context['expected']}")
    if limits and field in limits:
        least, most = limits[field]
        if "ge" in context or "le" in context or kind == "finite_number":
            return RecipeError(field, value, f"it must be from {least:g} to {most:g}")
    if "ge" in context:
        return RecipeError(field, value, f"it must be at least {context['ge']}")
    if "le" in context:
        return RecipeError(field, value, f"it must be at most {context['le']}")
    return RecipeError(field, value, _EXPECTED.get(kind, problem["msg"].lower()))


def dotted(location: Sequence[int | str]) -> str:
    """``('attributes', 'time', 0)`` -> ``attributes.time[0]``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def suggestion(name: object, known: Iterable[str]) -> str:
    """``; did you mean 'steps'?`` for a near miss, else nothing."""
    close = get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def refuse_repeats(field: str, values: Sequence[Any]) -> None:
    """Raise a ``RecipeError`` for the first value that is listed twice."""
    for value, times in Counter(values).items():
        if times > 1:
            raise RecipeError(field, value, f"it is listed {times} times; list it once")
