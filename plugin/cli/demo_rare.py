"""``diffucurate demo-rare``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.options import Json, Serve


@command("demo-rare", example="diffucurate demo-rare --count 10 --no-app")
def demo_rare(
    context: typer.Context,
    train: Annotated[
        bool, typer.Option("--train", help="Learn the word anew from 20 rendered pianos; takes some minutes.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option(help="Teach the detector painted pianos, and test it on renders; takes some minutes.")
    ] = True,
    count: Annotated[int, typer.Option(min=1, help="How many images before, and how many after.")] = 50,
    serve: Serve = True,
    json: Json = False,
) -> None:
    """Paint pianos, which the built-in models were not trained on, and teach them to a detector."""
    terminal = terminal_of(context)
    from diffucurate.plugin.cli.run_demo_rare import run_demo_rare

    run_demo_rare(terminal, serve=serve and terminal.interactive, train=train, retrain=retrain, count=count)
