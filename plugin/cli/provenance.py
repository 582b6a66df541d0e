"""``diffucurate provenance``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import chosen, samples_of
from diffucurate.plugin.cli.options import DatasetArgument, Json


@command(example="diffucurate provenance night-streets 65f1c0ffee0123456789abcd --repaint")
def provenance(
    context: typer.Context,
    dataset: DatasetArgument,
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="The id of a painted sample.")],
    repaint: Annotated[bool, typer.Option("--repaint", help="Paint it again too, and say how it came out.")] = False,
    json: Json = False,
) -> None:
    """Show what made an image: its prompt, seed, model and run."""
    terminal = terminal_of(context)
    with terminal.progress("provenance") as progress:
        painted = chosen(samples_of(dataset), [sample]).first()
        from diffucurate.plugin.generation.repaint import repaint as paint_again
        from diffucurate.plugin.provenance.describe import of_image, of_run
        from diffucurate.plugin.provenance.provenance import provenance as run

        origin = run(painted)
        again = paint_again(painted, progress=progress)[0] if repaint else None
    lines = {**of_image(origin), **of_run(origin)}
    width = max(map(len, lines))
    for label, text in lines.items():
        terminal.show(f"{label:<{width}}  {text}")
    if origin.warning:
        terminal.show(origin.warning)
    document = origin.to_dict()
    if again is not None:
        terminal.show(again.verdict)
        document["repainted"] = {"identical": again.identical, "restored": again.restored, "verdict": again.verdict}
    terminal.result(document)
