"""``diffucurate provenance``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.plugin.cli.app import DatasetArgument, Json, app, terminal_of
from diffucurate.plugin.cli.datasets import chosen, samples_of


@app.command()
def provenance(
    context: typer.Context,
    dataset: DatasetArgument,
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="The id of a painted sample.")],
    repaint: Annotated[bool, typer.Option("--repaint", help="Paint it again too, and say how it came out.")] = False,
    json: Json = False,
) -> None:
    """Tell what made an image: its prompt, seed, model and run."""
    terminal = terminal_of(context)
    with terminal.progress("provenance") as progress:
        found = chosen(samples_of(dataset), [sample]).first()
        from diffucurate.plugin.generation.repaint import repaint as paint_again
        from diffucurate.plugin.provenance.describe import of_image, of_run
        from diffucurate.plugin.provenance.job_of_sample import provenance as run

        made = run(found)
        again = paint_again(found, progress=progress)[0] if repaint else None
    lines = {**of_image(made), **of_run(made)}
    width = max(map(len, lines))
    for label, text in lines.items():
        terminal.show(f"{label:<{width}}  {text}")
    if made.warning:
        terminal.show(made.warning)
    document = made.to_dict()
    if again is not None:
        terminal.show(again.verdict)
        document["repainted"] = {"identical": again.identical, "restored": again.restored, "verdict": again.verdict}
    terminal.result(document)
