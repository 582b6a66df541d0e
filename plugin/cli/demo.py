"""``diffucurate demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffucurate.plugin.cli.app import Json, app, terminal_of


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The folder for the exports; earlier ones are replaced.")] = Path("demo"),
    serve: Annotated[
        bool, typer.Option("--app/--no-app", envvar="APP", help="Serve the App until Ctrl-C, in a terminal only.")
    ] = True,
    json: Json = False,
) -> None:
    """Go the whole way once, from a recipe to a curated and exported dataset, with the built-in model."""
    terminal = terminal_of(context)
    from diffucurate.plugin.cli.run_demo import run_demo

    run_demo(terminal, out, serve=serve and terminal.interactive)
