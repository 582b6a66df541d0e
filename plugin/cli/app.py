"""The command line itself: what all commands hang on, and the arguments that several of them take."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.cli.terminal import Terminal

DONE, USER_INPUT, OTHER = 0, 1, 2
TRACEBACK = "DIFFUCURATE_TRACEBACK"

_EPILOG = (
    "Exit codes: 0 done; 1 something in the input is wrong, the message says what; "
    "2 everything else, being stopped with Ctrl-C included."
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=_EPILOG)

DatasetArgument = Annotated[str, typer.Argument(metavar="DATASET", help="Name of a FiftyOne dataset.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, all else on stderr.")]


def _version(asked: bool) -> None:
    if asked:
        from diffucurate import __version__

        typer.echo(f"diffucurate {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _diffucurate(
    context: typer.Context,
    traceback: Annotated[
        bool, typer.Option("--traceback", help=f"Show where an unexpected error came from; so does {TRACEBACK}=1.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Show it.")] = False,
) -> None:
    """Labelled image datasets from diffusion models, curated in FiftyOne."""
    if traceback:
        os.environ[TRACEBACK] = "1"
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USER_INPUT)


def terminal_of(context: typer.Context) -> Terminal:
    """The command's terminal; from here on only its result reaches stdout."""
    terminal: Terminal = context.obj
    terminal.claim_stdout()
    return terminal


def names_in(text: str | None) -> list[str] | None:
    """``car,bus`` as a list."""
    names = None if text is None else [name.strip() for name in text.split(",")]
    if names is not None and not all(names):
        raise InvalidSetting("classes", text, "give names with one comma between them, as in car,bus")
    return names


def values_in(text: str) -> tuple[str, list[str]]:
    """``time=night,dusk`` as a name and its values."""
    name, equals, values = text.partition("=")
    if not equals:
        raise InvalidSetting("change", text, "give an attribute and its values, as in time=night,dusk")
    return name.strip(), [value.strip() for value in values.split(",")]
