"""``diffucurate demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.options import Json, Serve


@command(example="diffucurate demo --out exports --no-app")
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The folder for the exports; earlier ones are replaced.")] = Path("demo"),
    serve: Serve = True,
    json: Json = False,
) -> None:
    """Run every step once, from a recipe to a curated and exported dataset, with the built-in model."""
    terminal = terminal_of(context)
    from diffucurate.plugin.cli.run_demo import run_demo

    run_demo(terminal, out, serve=serve and terminal.interactive)
