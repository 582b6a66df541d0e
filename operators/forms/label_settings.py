"""A label source's settings as fields of a form.

Fields are named ``<source>_<setting>``; their titles, ranges and defaults come from the source's settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext
from pydantic.fields import FieldInfo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.settings import SourceSettings
from diffucurate.generator.sources import SourceSpec
from diffucurate.generator.validation import limits
from diffucurate.operators.forms.fields import choose, param, refuse


def settings_params(spec: SourceSpec[Any], settings: SourceSettings) -> dict[str, Any]:
    """The parameters of a form that is filled in with what ``settings`` name; the rest is left to its default."""
    return {f"{spec.name}_{name}": value for name, value in settings.model_dump(exclude_unset=True).items()}


def read_settings(ctx: ExecutionContext, spec: SourceSpec[Any]) -> SourceSettings:
    """The settings of a source as filled in, each its default where it was not.

    Raises:
        InvalidSetting: a number outside its range; the field is called ``settings.<name>``.
    """
    values = {name: param(ctx, f"{spec.name}_{name}") for name in spec.settings.model_fields}
    return spec.make_settings({name: value for name, value in values.items() if value is not None})


def settings_problem(ctx: ExecutionContext, spec: SourceSpec[Any]) -> tuple[str, str] | None:
    """(parameter, sentence) of what is wrong with the settings as filled in, None where nothing is."""
    try:
        read_settings(ctx, spec)
    except InvalidSetting as error:
        return f"{spec.name}_{error.field.removeprefix('settings.')}", error.remedy
    return None


def settings_line(spec: SourceSpec[Any], values: Mapping[str, Any]) -> str:
    """``threshold 0.6, believe the prompt's count: on``: the settings that a person is asked for."""
    fields = {name: field for name, field in spec.settings.model_fields.items() if field.title is not None}
    return ", ".join(fields[name].title.lower() + _shown(value) for name, value in values.items() if name in fields)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return ": on" if value else ": off"
    return f" {value:g}" if isinstance(value, int | float) else f": {value}"


def ask_settings(inputs: types.Object, ctx: ExecutionContext, spec: SourceSpec[Any], *names: str) -> None:
    """A field for each setting of ``names``, by default all that have a title; one that is wrong is refused."""
    problem = settings_problem(ctx, spec)
    for name in names or titled(spec):
        field_name = f"{spec.name}_{name}"
        _ask(inputs, ctx, spec, name, field_name)
        if problem is not None and problem[0] == field_name:
            refuse(inputs.properties[field_name], problem[1])


def asked(ctx: ExecutionContext, spec: SourceSpec[Any]) -> list[str]:
    """The settings that a form shows: those with a title, and others that it was filled in with."""
    filled = [name for name in spec.settings.model_fields if param(ctx, f"{spec.name}_{name}") is not None]
    return list(dict.fromkeys([*titled(spec), *filled]))


def titled(spec: SourceSpec[Any]) -> list[str]:
    """The settings that a person is asked for."""
    return [name for name, field in spec.settings.model_fields.items() if field.title is not None]


def _ask(inputs: types.Object, ctx: ExecutionContext, spec: SourceSpec[Any], name: str, field_name: str) -> None:
    """A switch, slider, menu, number or text, as the setting's type has it."""
    field: FieldInfo = spec.settings.model_fields[name]
    title = field.title or name.replace("_", " ").capitalize()
    texts: dict[str, Any] = {"label": title, "description": field.description or ""}
    default = None if field.is_required() else field.default
    if field.annotation is bool:
        inputs.bool(field_name, default=default, view=types.SwitchView(**texts))
    elif name in spec.sliders:
        least, most = limits(spec.settings)[name]
        # The knob itself shows no number while nobody holds it.
        value = param(ctx, field_name, default)
        label = f"{title}: {value:.2f}" if isinstance(value, int | float) else title
        view = types.SliderView(
            **texts | {"label": label}, label_position="top", value_precision=2, value_label_display="auto"
        )
        inputs.float(field_name, default=default, min=least, max=most, view=view)
    elif field.annotation is float:
        inputs.float(field_name, default=default, **texts)
    elif field.annotation is int:
        inputs.int(field_name, default=default, **texts)
    elif choices := get_args(field.annotation):
        choose(inputs, field_name, {choice: choice for choice in choices}, default=default, required=False, **texts)
    else:
        inputs.str(field_name, default=default, required=field.is_required(), **texts)
