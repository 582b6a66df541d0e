"""``diffucurate demo-rare``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.plugin.cli.app import Json, app, terminal_of


@app.command("demo-rare")
def demo_rare(
    context: typer.Context,
    train: Annotated[
        bool, typer.Option("--train", help="Learn the word anew from 20 rendered pianos; takes some minutes.")
    ] = False,
    images: Annotated[int, typer.Option(min=1, help="How many images before, and how many after.")] = 50,
    serve: Annotated[
        bool, typer.Option("--app/--no-app", envvar="APP", help="Serve the App until Ctrl-C, in a terminal only.")
    ] = True,
    json: Json = False,
) -> None:
    """Paint a thing that the built-in model never saw, before and after a word for it was learned, and count."""
    terminal = terminal_of(context)
    from diffucurate.plugin.cli.run_demo_rare import run_demo_rare

    run_demo_rare(terminal, serve=serve and terminal.interactive, train=train, images=images)
