"""``diffucurate learn-token``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.generator.text.parsing import parse_names
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import (
    ClassNames,
    DatasetArgument,
    Device,
    Json,
    Model,
    Overwrite,
    Samples,
    View,
)


@command("learn-token", example="diffucurate learn-token night-streets ground_truth --classes car --name my-car")
def learn_token(
    context: typer.Context,
    dataset: DatasetArgument,
    field: Annotated[str, typer.Argument(metavar="FIELD", help="The label field whose masks are right.")],
    view: View = None,
    samples: Samples = None,
    classes: ClassNames = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the token; its class if left out. With several, the beginning.")
    ] = None,
    model: Model = None,
    device: Device = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Learn from a few trusted masks by which token attention finds a class; use it with 'label --tokens'."""
    terminal = terminal_of(context)
    names = parse_names(classes, "classes")
    with terminal.progress("learn-token") as progress:
        trusted = samples_of(dataset, view, samples)
        from diffucurate.plugin.tokens.optimize import learn_token as run

        learned = run(
            trusted, field, names, name=name, model=model, device=device, overwrite=overwrite, progress=progress
        )
    for token_name, token in learned.items():
        terminal.show(f"{token_name}: finds {token.label}, IoU {token.provenance.iou:.2f} where it was learned")
    tokens = [
        {
            "name": token_name,
            "class": token.label,
            "iou": token.provenance.iou,
            "samples": len(token.provenance.samples),
        }
        for token_name, token in learned.items()
    ]
    terminal.result({"dataset": dataset, "tokens": tokens})
