"""``diffucurate generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffucurate.plugin.cli.app import Json, app, terminal_of


@app.command()
def generate(
    context: typer.Context,
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A recipe file, YAML or JSON, or a DiffuGen config.")
    ],
    model: Annotated[str | None, typer.Option(help="Paint with this model instead of the recipe's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Make at most so many of the recipe's images.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per batch; halved when memory runs out.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best one there is if left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Paint a recipe's images into its dataset; images that are there already are not made again."""
    terminal = terminal_of(context)
    from diffucurate.generator.recipe import Recipe

    loaded = Recipe.load(recipe)
    if model is not None:
        loaded = Recipe.from_mapping({**loaded.model_dump(mode="json"), "model": model})
    with terminal.progress("generate") as progress:
        import fiftyone as fo

        from diffucurate.plugin.generate import generate as run

        before = len(fo.load_dataset(loaded.dataset)) if fo.dataset_exists(loaded.dataset) else 0
        dataset = run(loaded, limit=limit, batch_size=batch_size, device=device, progress=progress)
    added = len(dataset) - before
    terminal.show(f"{dataset.name}: {added} images added, {len(dataset)} in all")
    terminal.result({"dataset": dataset.name, "added": added, "samples": len(dataset)})
