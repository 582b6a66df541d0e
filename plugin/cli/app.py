"""The application of the command line, to which every command is added."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

from diffucurate.plugin.cli.terminal import Terminal

DONE, USER_INPUT, OTHER = 0, 1, 2
TRACEBACK = "DIFFUCURATE_TRACEBACK"

_EPILOG = (
    "Exit codes: 0 done; 1 something in the input is wrong, the message says what; "
    "2 everything else, being stopped with Ctrl-C included."
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=_EPILOG)

Function = Callable[..., None]


def command(name: str | None = None, *, example: str) -> Callable[[Function], Function]:
    """Make a function a command, whose help ends with ``example``: a whole command line that runs as it stands."""
    # What follows \b is not wrapped, so that it can be copied.
    return app.command(name, epilog=f"\b\nExample:\n  {example}")


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
