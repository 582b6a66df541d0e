"""``diffucurate generate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.recipe.canvas_config import for_any_model
from diffucurate.generator.text.parsing import parse_names, parse_seeds
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.options import (
    Actors,
    BatchSize,
    CaptionInstances,
    Captions,
    Count,
    Device,
    Json,
    Memory,
    Model,
    Ray,
    RayAddress,
    Seeds,
    engine_of,
)

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe


@command(example="diffucurate generate night-streets.yaml --count 4")
def generate(
    context: typer.Context,
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A recipe file, YAML or JSON, or a DiffuGen config.")
    ],
    model: Model = None,
    seeds: Seeds = None,
    count: Count = None,
    batch_size: BatchSize = None,
    device: Device = None,
    memory: Memory = None,
    sections: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="txt2img, img2img or inpaint, of a DiffuGen config that has several; all if left out (repeatable).",
        ),
    ] = None,
    trust_pickle: Annotated[
        bool,
        typer.Option("--trust-pickle", help="Read learned words (.pt) that hold more than tensors; runs their code."),
    ] = False,
    captions: Captions = None,
    instances: CaptionInstances = None,
    class_prompt: Annotated[
        str | None, typer.Option(help="append, separate or none: how the classes of captions are found.")
    ] = None,
    share: Annotated[
        bool,
        typer.Option("--share", help="Let other processes paint the same recipe too, each with --share; see scale.md."),
    ] = False,
    ray: Ray = False,
    ray_address: RayAddress = None,
    actors: Actors = None,
    json: Json = False,
) -> None:
    """Paint a recipe's images into its dataset; images that it holds already are not painted again."""
    terminal = terminal_of(context)
    from diffucurate.plugin.generation.load_recipes import read_recipes

    recipes = _sections(read_recipes(recipe, trust_pickle=trust_pickle), parse_names(sections, "sections"))
    replaced = {"model": model, "seeds": parse_seeds(seeds), "memory": memory}
    recipes = [_changed(each, replaced) for each in recipes]
    recipes = [_with_captions(each, captions, instances, class_prompt) for each in recipes]
    with terminal.progress("generate") as progress:
        import fiftyone as fo

        from diffucurate.plugin.generation.blacked_out import blacked_out, ended_runs
        from diffucurate.plugin.generation.generate import generate as run

        names = dict.fromkeys(each.dataset for each in recipes)
        earlier = ended_runs(names)
        before = {name: len(fo.load_dataset(name)) if fo.dataset_exists(name) else 0 for name in names}
        engine = engine_of(ray, ray_address, actors)
        painted = run(
            recipes,
            count=count,
            batch_size=batch_size,
            device=device,
            share=share,
            engine=engine,
            progress=progress,
        )
    added: list[dict[str, Any]] = []
    for dataset in painted:
        new, refused = len(dataset) - before[dataset.name], blacked_out(dataset, earlier)
        terminal.show(f"{dataset.name}: {new} images added, {len(dataset)} in all{f'; {refused}' if refused else ''}")
        document = {"dataset": dataset.name, "added": new, "samples": len(dataset)}
        added.append({**document, "blacked_out": asdict(refused)} if refused else document)
    terminal.result(added[0] if len(names) == 1 else {"datasets": added})


def _sections(recipes: Sequence[Recipe], wanted: Sequence[str] | None) -> list[Recipe]:
    """The recipes of these tasks, all by default."""
    chosen = [recipe for recipe in recipes if not wanted or recipe.task in wanted]
    tasks = list(dict.fromkeys(recipe.task for recipe in recipes))
    unknown = [name for name in wanted or () if name not in tasks]
    if unknown:
        raise InvalidSetting("sections", unknown[0], f"the recipe has none of that name; it has {', '.join(tasks)}")
    return chosen


def _changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with the values that are not None in the place of its own; what it leaves to the model stays so."""
    values = {name: value for name, value in changes.items() if value is not None}
    own = {name: value for name, value in recipe.model_dump(mode="json").items() if name not in recipe.left_to_model}
    return recipe.from_mapping({**for_any_model(own), **values}) if values else recipe


def _with_captions(recipe: Recipe, path: str | None, instances: str | None, class_prompt: str | None) -> Recipe:
    """The recipe with captions for prompts, where any are given; its classes and all else stay."""
    options = {"path": path, "instances": instances, "class_prompt": class_prompt}
    options = {name: value for name, value in options.items() if value is not None}
    if not options:
        return recipe
    content = recipe.model_dump(mode="json")
    if path is None:
        if recipe.captions is None:
            name, value = next(iter(options.items()))
            raise InvalidSetting(name, value, "it goes with --captions; give that too")
        return recipe.from_mapping({**content, "captions": {**content["captions"], **options}})
    return recipe.from_mapping({**content, "captions": options, "templates": [], "attributes": {}})
