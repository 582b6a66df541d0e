"""``diffucurate generate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.cli.app import Json, app, terminal_of

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe


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
    section: Annotated[
        list[str] | None,
        typer.Option(help="txt2img, img2img or inpaint, of a config that has several; all if left out (repeatable)."),
    ] = None,
    trust_pickle: Annotated[
        bool,
        typer.Option("--trust-pickle", help="Read learned words (.pt) that hold more than tensors; runs their code."),
    ] = False,
    captions: Annotated[
        str | None,
        typer.Option(help="Prompts instead of the recipe's: a text file, a JSON list or COCO's captions JSON."),
    ] = None,
    instances: Annotated[
        str | None, typer.Option(help="COCO's instances JSON of the same images, which says what each shows.")
    ] = None,
    class_prompt: Annotated[
        str | None, typer.Option(help="append, separate or none: how the classes of captions are found.")
    ] = None,
    json: Json = False,
) -> None:
    """Paint a recipe's images into its dataset; images that are there already are not made again."""
    terminal = terminal_of(context)
    from diffucurate.plugin.generation.load_recipes import read_recipes

    recipes = _sections(read_recipes(recipe, trust_pickle=trust_pickle), section)
    if model is not None:
        recipes = [one.from_mapping({**one.model_dump(mode="json"), "model": model}) for one in recipes]
    recipes = [_with_captions(one, captions, instances, class_prompt) for one in recipes]
    with terminal.progress("generate") as progress:
        import fiftyone as fo

        from diffucurate.plugin.generation.generate import generate_all

        names = dict.fromkeys(one.dataset for one in recipes)
        before = {name: len(fo.load_dataset(name)) if fo.dataset_exists(name) else 0 for name in names}
        datasets = generate_all(recipes, count=limit, batch_size=batch_size, device=device, progress=progress)
    made = [{"dataset": one.name, "added": len(one) - before[one.name], "samples": len(one)} for one in datasets]
    for one in made:
        terminal.show(f"{one['dataset']}: {one['added']} images added, {one['samples']} in all")
    terminal.result(made[0] if len(names) == 1 else {"datasets": made})


def _sections(recipes: Sequence[Recipe], wanted: Sequence[str] | None) -> list[Recipe]:
    """The recipes of these tasks, all by default."""
    found = [one for one in recipes if not wanted or one.task in wanted]
    tasks = list(dict.fromkeys(one.task for one in recipes))
    strange = [name for name in wanted or () if name not in tasks]
    if strange:
        raise InvalidSetting("section", strange[0], f"the recipe has none of that name; it has {', '.join(tasks)}")
    return found


def _with_captions(recipe: Recipe, path: str | None, instances: str | None, class_prompt: str | None) -> Recipe:
    """The recipe with captions for prompts, where any are given; its classes and all else stay."""
    given = {"path": path, "instances": instances, "class_prompt": class_prompt}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return recipe
    content = recipe.model_dump(mode="json")
    if path is None:
        if recipe.captions is None:
            raise InvalidSetting(
                next(iter(given)), next(iter(given.values())), "it goes with --captions; give that too"
            )
        return recipe.from_mapping({**content, "captions": {**content["captions"], **given}})
    return recipe.from_mapping({**content, "captions": given, "templates": [], "attributes": {}})
