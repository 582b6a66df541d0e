"""What a label source is given besides its settings, as fields of a form; they bear the options' own names."""

from __future__ import annotations

from typing import Any

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError
from diffucurate.generator.sources import SourceOption, SourceSpec
from diffucurate.operators.forms.fields import listed, param


def read_options(ctx: ExecutionContext, spec: SourceSpec[Any]) -> dict[str, Any]:
    """Option -> its value as filled in, None where it was not."""
    return {option.name: _value(ctx, option) for option in spec.options}


def option_problems(ctx: ExecutionContext, spec: SourceSpec[Any]) -> dict[str, str]:
    """Option -> why what was filled in cannot be used, of those that cannot be."""
    problems = {}
    for option in spec.options:
        value = _value(ctx, option)
        if option.required is not None and not value:
            problems[option.name] = option.required
        if option.check is None or value is None:
            continue
        try:
            for part in value if isinstance(value, list) else [value]:
                option.check(part)
        except DiffucurateError as error:
            problems[option.name] = str(error)
    return problems


def ask_options(inputs: types.Object, spec: SourceSpec[Any]) -> None:
    """A field for each of the source's options."""
    for option in (option for option in spec.options if option.kind != "trust"):
        texts = {"label": option.title, "description": option.description}
        if option.kind == "switch":
            inputs.bool(option.name, default=True, view=types.SwitchView(**texts))
            continue
        names = [] if option.choices is None else list(option.choices())
        view = types.AutocompleteView(choices=[types.Choice(name, label=name) for name in names])
        if option.kind in ("names", "pairs"):
            if option.choices is not None:
                texts["description"] += f" There are: {', '.join(names) or 'none yet'}"
            inputs.list(option.name, types.String(), view=view, **texts)
        else:
            inputs.str(option.name, view=None if option.choices is None else view, **texts)


def _value(ctx: ExecutionContext, option: SourceOption) -> Any:
    if option.kind == "trust":
        return None
    if option.kind == "switch":
        return None if param(ctx, option.name, True) else False
    value = param(ctx, option.name)
    return listed(value) if option.kind in ("names", "pairs") else value
