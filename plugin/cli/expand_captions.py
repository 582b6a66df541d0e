"""``diffucurate expand-captions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.text.parsing import parse_classes
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.options import (
    BatchSize,
    CaptionInstances,
    Captions,
    Classes,
    Device,
    Json,
    Overwrite,
    Seed,
)


@command(
    "expand-captions",
    example="diffucurate expand-captions more.json --model Qwen/Qwen3-0.6B --captions captions.txt --classes car,bus",
)
def expand_captions(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The JSON file to write; 'generate --captions' reads it.")
    ],
    model: Annotated[str, typer.Option(help="A text-generation model: a folder or a hub id.")],
    captions: Captions = None,
    instances: CaptionInstances = None,
    recipe: Annotated[
        Path | None, typer.Option(help="The recipe that is to be painted: its classes and captions.")
    ] = None,
    classes: Classes = None,
    count: Annotated[int, typer.Option(min=1, help="How many captions to keep.")] = 100,
    shots: Annotated[int, typer.Option(min=0, help="Captions that the model is shown each time.")] = 4,
    seed: Seed = None,
    temperature: Annotated[float, typer.Option(help="Of the model's sampling.")] = 1.0,
    most_words: Annotated[int, typer.Option(min=3, help="Longer captions are dropped.")] = 40,
    batch_size: BatchSize = None,
    device: Device = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Let a language model write more captions, and keep those in which every class stays named."""
    terminal = terminal_of(context)
    options: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    options = {name: value for name, value in options.items() if value is not None}
    known, named = _captions_and_classes(captions, instances, recipe, classes)
    with terminal.progress("expand-captions") as progress:
        from diffucurate.generator.expansion.expand import expand_captions as run

        expansion = run(
            known,
            path,
            model=model,
            classes=named,
            count=count,
            shots=shots,
            temperature=temperature,
            most_words=most_words,
            device=device,
            overwrite=overwrite,
            progress=progress,
            **options,
        )
    terminal.show(f"{expansion.path}: {len(expansion.captions)} captions of {count}")
    if expansion.remark:
        terminal.say(expansion.remark)
    terminal.result(
        {
            "path": str(expansion.path),
            "captions": len(expansion.captions),
            "classes": dict(expansion.classes),
            "dropped": dict(expansion.dropped),
        }
    )


def _captions_and_classes(
    captions: str | None, instances: str | None, recipe: Path | None, classes: list[str] | None
) -> tuple[dict[str, Any] | None, dict[str, list[str]]]:
    """The captions there are, and the classes, of the options or else of the recipe."""
    from diffucurate.generator.recipe.recipe import Recipe

    if instances is not None and captions is None:
        raise InvalidSetting("instances", instances, "they go with --captions; give COCO's captions there")
    loaded = None if recipe is None else Recipe.load(recipe)
    listed = parse_classes(classes) or {}
    named = listed if isinstance(listed, dict) else {name: [name] for name in listed}
    if loaded is None and not named:
        raise InvalidSetting("classes", None, "name what captions shall show with --classes, or a --recipe")
    known: dict[str, Any] | None = None
    if captions is not None:
        known = {"path": captions, "instances": instances}
    elif loaded is not None and loaded.captions is not None:
        known = loaded.captions.model_dump(mode="json")
    return known, named or ({} if loaded is None else loaded.classes)
