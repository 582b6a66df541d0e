"""``diffucurate regenerate``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.cli.app import DatasetArgument, Json, app, terminal_of, values_in
from diffucurate.plugin.cli.datasets import chosen, samples_of


@app.command()
def regenerate(
    context: typer.Context,
    dataset: DatasetArgument,
    sample: Annotated[list[str] | None, typer.Option(help="The id of a sample to vary (repeatable).")] = None,
    view: Annotated[str | None, typer.Option(help="A saved view, to vary its samples.")] = None,
    new_seeds: Annotated[int | None, typer.Option(min=1, help="How many new seeds for each.")] = None,
    seeds: Annotated[str | None, typer.Option(help="The seeds themselves, as in 3,7.")] = None,
    change: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE[,VALUE...] of an attribute, as in time=night (repeatable).")
    ] = None,
    json: Json = False,
) -> None:
    """Paint images again with other seeds or attributes, and add what comes out."""
    terminal = terminal_of(context)
    if (sample is None) == (view is None):
        raise InvalidSetting("samples", None, "say which images: either --sample or --view")
    if new_seeds is not None and seeds is not None:
        raise InvalidSetting("seeds", seeds, "give either --seeds or --new-seeds")
    listed: Any = None if seeds is None else [int(n) if n.strip().isdecimal() else n for n in seeds.split(",")]
    changes = dict(values_in(text) for text in change or ())
    with terminal.progress("regenerate") as progress:
        samples = samples_of(dataset, view)
        varied = samples if sample is None else chosen(samples, sample)
        from diffucurate.plugin.fiftyone_private import dataset_behind
        from diffucurate.plugin.generation.regenerate import regenerate as run

        before = set(dataset_behind(samples).values("id"))

        made = run(varied, seeds=new_seeds or listed, attributes=changes, progress=progress)
    added = [one for one in made.values("id") if one not in before]
    terminal.show(f"{dataset}: {len(added)} images added, {len(before) + len(added)} in all")
    terminal.result({"dataset": dataset, "added": len(added), "samples": added})
