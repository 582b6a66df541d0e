"""``diffucurate generate-more``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import DatasetArgument, Json, Seed, View


@command("generate-more", example="diffucurate generate-more night-streets fused student --count 200 --to more.yaml")
def generate_more(
    context: typer.Context,
    dataset: DatasetArgument,
    reference: Annotated[str, typer.Argument(metavar="TRUTH", help="Labels that are taken for right.")],
    prediction: Annotated[str, typer.Argument(metavar="LABELS", help="Labels of what is judged, such as student.")],
    count: Annotated[int, typer.Option(min=1, help="Images of the next round.")] = 100,
    cap: Annotated[float, typer.Option(help="Draw the weakest at most so many times as often as the strongest.")] = 8.0,
    to: Annotated[Path | None, typer.Option(help="The recipe's file; it is printed if left out.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe to draw prompts from; the dataset's latest if left out.")
    ] = None,
    view: View = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Write a recipe with more of what a compared source, such as a trained segmenter, finds badly."""
    terminal = terminal_of(context)
    with terminal.progress("generate-more"):
        samples = samples_of(dataset, view)
        from diffucurate.generator.files.atomic import write_text
        from diffucurate.generator.recipe.files import recipe_text
        from diffucurate.generator.recipe.recipe import Recipe
        from diffucurate.plugin.segmenters.weaknesses import generate_more as run

        source = None if recipe is None else Recipe.load(recipe)
        more = run(samples, reference, prediction, count, recipe=source, cap=cap, seed=seed or 0)
        text = recipe_text(more.recipe)
        if to is not None:
            write_text(to, text)
    for each in more.weaknesses:
        found = f"{each.iou:.2f} over {each.instances}"
        terminal.say(f"{each.kind} {each.value}: IoU {found} instances, drawn {each.weight:.1f} times the mean")
    terminal.show(text if to is None else f"diffucurate generate {to}")
    terminal.result({"dataset": dataset, "file": to, **more.to_dict()})
