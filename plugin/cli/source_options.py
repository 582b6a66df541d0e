"""The options of ``diffucurate label`` that depend on the label sources there are: read from the registry.

An option or setting that several sources have is one option of the command line.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, cast

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.sources.registry import all_sources, source_named
from diffucurate.generator.sources.spec import CommandOption
from diffucurate.generator.text.parsing import parse_names, parse_pairs


class SourceCommand:
    """A command that takes ``--source`` and, as keywords, all that the sources can be given.

    Typer reads the signature when a command line is run, so this follows the registry.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.__name__, self.__doc__, self.__module__ = function.__name__, function.__doc__, function.__module__
        self.__annotations__: dict[str, Any] = {}  # the signature holds all types
        self._function = function

    @property
    def __signature__(self) -> inspect.Signature:
        fixed = inspect.signature(self._function, eval_str=True).parameters
        parameters = [
            _source_parameter() if name == "source" else parameter
            for name, parameter in fixed.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        return inspect.Signature([*parameters, *_option_parameters()])

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        self._function(*arguments, **keywords)


def options_and_settings(source: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options and the settings of a source among the values that were given; None means: not given.

    Options of other sources are among the options, for ``label`` to refuse.

    Raises:
        InvalidSetting: a setting that only other sources have, or a list with an empty name.
    """
    own = source_named(source).command_options()
    options, settings = dict[str, Any](), dict[str, Any]()
    for name, by_source in _options_by_name().items():
        (_, option), value = by_source[0], values.get(name)
        if option.type == list[str]:
            value = parse_names(value, option.name)
        elif option.type == dict[str, str]:
            value = parse_pairs(value)
        if value is None:
            continue
        if not option.is_setting:
            options[option.name] = value
        elif name not in own:
            raise InvalidSetting(name, value, f"source '{source}' has no such setting; leave it out")
        else:
            settings[option.name] = value
    return options, settings


def _options_by_name() -> dict[str, list[tuple[str, CommandOption]]]:
    """Name on the command line -> what it is in each source that has it; options before settings."""
    options: dict[str, list[tuple[str, CommandOption]]] = defaultdict(list)
    for spec in all_sources():
        for name, option in spec.command_options().items():
            options[name].append((spec.name, option))
    return dict(sorted(options.items(), key=lambda item: item[1][0][1].is_setting))


def _source_parameter() -> inspect.Parameter:
    described = "; ".join(f"{spec.name}: {spec.summary} ({spec.scope})" for spec in all_sources())
    names = cast(Any, StrEnum)("LabelSourceName", {spec.name: spec.name for spec in all_sources()})
    option = typer.Option(help=f"What makes the labels. {described}.")
    return inspect.Parameter("source", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[names, option])


def _option_parameters() -> list[inspect.Parameter]:
    return [_option_parameter(name, dict(by_source)) for name, by_source in _options_by_name().items()]


def _option_parameter(name: str, by_source: Mapping[str, CommandOption]) -> inspect.Parameter:
    first, flag = next(iter(by_source.values())), f"--{name.replace('_', '-')}"
    help = f"{', '.join(by_source)}: {first.description}"
    bounds = [each.limits for each in by_source.values() if each.limits is not None]
    if first.type is bool:
        option = typer.Option(f"{flag}/--no-{flag.removeprefix('--')}", show_default=False, help=help)
    elif first.type == list[str]:
        option = typer.Option(flag, metavar="NAME,...", help=f"{help} (repeatable)")
    elif first.type == dict[str, str]:
        option = typer.Option(flag, metavar="NAME=CLASS,...", help=f"{help} (repeatable)")
    elif len(bounds) == len(by_source):
        least, most = min(low for low, _ in bounds), max(high for _, high in bounds)
        option = typer.Option(flag, min=least, max=most, help=help)
    else:
        option = typer.Option(flag, help=help)
    given = list[str] if first.type == dict[str, str] else first.type  # pairs are texts on the command line
    kind = cast(Any, Annotated)[given | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
