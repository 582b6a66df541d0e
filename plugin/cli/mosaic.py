"""``diffucurate mosaic``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.generator.text.parsing import parse_names
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import Count, DatasetArgument, Json, Seed, Source, View


@command(example="diffucurate mosaic night-streets --source attention --view good --count 200 --grids 1x2,2x2")
def mosaic(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Source,
    view: View = None,
    count: Count = None,
    grids: Annotated[
        list[str] | None,
        typer.Option(metavar="RxC,...", help="Rows and columns; 1x2,2x1,2x2,3x3,5x5,8x8 if left out (repeatable)."),
    ] = None,
    longest: Annotated[
        int | None, typer.Option(min=1, help="Pixels of the longest side; that of the first image if left out.")
    ] = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Splice images into mosaics, with one source's labels, and add them to the dataset; 100 if not said how many."""
    terminal = terminal_of(context)
    from diffucurate.plugin.mosaics.grids import GRIDS, parse_grids

    named = parse_names(grids, "grids")
    sides = GRIDS if named is None else parse_grids(named)
    with terminal.progress("mosaic") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.plugin.mosaics.mosaic import mosaic as run

        options = {} if count is None else {"count": count}
        added = run(samples, source=source, grids=sides, longest=longest, seed=seed or 0, progress=progress, **options)
    terminal.show(f"{dataset}: {len(added)} mosaics added, with the tag 'mosaic'")
    terminal.result({"dataset": dataset, "added": len(added), "samples": added.values("id")})
