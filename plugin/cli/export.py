"""``diffucurate export``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from diffucurate.generator.exports.splits import parse_splits
from diffucurate.plugin.cli.app import DatasetArgument, Json, app, terminal_of
from diffucurate.plugin.cli.datasets import samples_of


class Format(StrEnum):
    """The formats ``export`` can write."""

    coco = "coco"
    yolo = "yolo"


@app.command()
def export(
    context: typer.Context,
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    format: Annotated[Format, typer.Option(help="What to write.")],
    source: Annotated[str, typer.Option(help="The label source whose labels are written.")],
    view: Annotated[str | None, typer.Option(help="A saved view, to write only its samples.")] = None,
    splits: Annotated[str | None, typer.Option(help="Shares of the images, as in train=0.8,val=0.2.")] = None,
    json: Json = False,
) -> None:
    """Write images and one source's labels as a COCO or YOLO dataset."""
    terminal = terminal_of(context)
    parts = None if splits is None else parse_splits(splits)
    with terminal.progress(f"export {format.value}") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.plugin.exporting.export import export as run
        from diffucurate.plugin.exporting.size import estimate_size, in_units

        size = estimate_size(samples, out, format=format.value, source=source)
        terminal.say(f"about {in_units(size.total_bytes)}; {in_units(size.free_bytes)} are free there")
        summary = run(samples, out, format=format.value, source=source, splits=parts, progress=progress)
    counts = ", ".join(f"{name} {images} images" for name, images in summary.images.items())
    terminal.show(f"{dataset}: {sum(summary.instances.values())} instances written to {summary.folder} ({counts})")
    terminal.show(summary.first_step())
    terminal.result({"dataset": dataset, "view": view, **summary.to_dict()})
