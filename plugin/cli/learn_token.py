"""``diffucurate learn-token``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.plugin.cli.app import DatasetArgument, Json, app, names_in, terminal_of
from diffucurate.plugin.cli.datasets import chosen, samples_of


@app.command("learn-token")
def learn_token(
    context: typer.Context,
    dataset: DatasetArgument,
    field: Annotated[str, typer.Argument(metavar="FIELD", help="The label field whose masks are right.")],
    classes: Annotated[str | None, typer.Option(help="car,bus,...; all that the field holds if left out.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the token; its class if left out. With several, the beginning.")
    ] = None,
    sample: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Learn from this sample; may be repeated.")
    ] = None,
    view: Annotated[str | None, typer.Option(help="A saved view, to learn only from its samples.")] = None,
    model: Annotated[str | None, typer.Option(help="The diffusion model that is to look for the class.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best one there is if left out.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace tokens of these names.")] = False,
    json: Json = False,
) -> None:
    """Learn from a few trusted masks by which token attention finds a class; use it with 'label --token'."""
    terminal = terminal_of(context)
    names = names_in(classes)
    with terminal.progress("learn-token") as progress:
        samples = samples_of(dataset, view)
        if sample:
            samples = chosen(samples, sample)
        from diffucurate.plugin.tokens.optimize import learn_token as run

        learned = run(
            samples, field, names, name=name, model=model, device=device, overwrite=overwrite, progress=progress
        )
    for token, made in learned.items():
        terminal.show(f"{token}: finds {made.label}, IoU {made.provenance.iou:.2f} where it was learned")
    terminal.result(
        {
            "dataset": dataset,
            "tokens": [
                {
                    "name": token,
                    "class": made.label,
                    "iou": made.provenance.iou,
                    "samples": len(made.provenance.samples),
                }
                for token, made in learned.items()
            ],
        }
    )
