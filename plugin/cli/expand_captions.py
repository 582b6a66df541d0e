"""``diffucurate expand-captions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.cli.app import Json, app, terminal_of, values_in


@app.command("expand-captions")
def expand_captions(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The JSON file to write; 'generate --captions' reads it.")
    ],
    model: Annotated[str, typer.Option(help="A text-generation model: a folder or a hub id.")],
    captions: Annotated[
        str | None, typer.Option(help="What there is: a text file, a JSON list or COCO's captions; the recipe's else.")
    ] = None,
    instances: Annotated[str | None, typer.Option(help="COCO's instances JSON of the same images.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="The recipe that is to be painted: its classes and captions.")
    ] = None,
    class_: Annotated[
        list[str] | None,
        typer.Option("--class", help="A class, NAME or NAME=PHRASE[,PHRASE...]; the recipe's else (repeatable)."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many captions to keep.")] = 100,
    shots: Annotated[int, typer.Option(min=0, help="Captions that the model is shown each time.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    temperature: Annotated[float, typer.Option(help="Of the model's sampling.")] = 1.0,
    most_words: Annotated[int, typer.Option(min=3, help="Longer captions are dropped.")] = 40,
    batch_size: Annotated[int, typer.Option(min=1, help="Captions written at once.")] = 8,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best one there is if left out.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    json: Json = False,
) -> None:
    """Let a language model write more captions, and keep those in which every class stays named."""
    terminal = terminal_of(context)
    given, classes = _given(captions, instances, recipe, class_)
    with terminal.progress("expand-captions") as progress:
        from diffucurate.generator.expansion.expand import expand_captions as run

        made = run(
            given,
            path,
            model=model,
            classes=classes,
            count=count,
            shots=shots,
            seed=seed,
            temperature=temperature,
            most_words=most_words,
            batch_size=batch_size,
            device=device,
            overwrite=overwrite,
            progress=progress,
        )
    terminal.show(f"{made.path}: {len(made.captions)} captions of {count}")
    if made.remark:
        terminal.say(made.remark)
    terminal.result(
        {
            "path": str(made.path),
            "captions": len(made.captions),
            "classes": dict(made.classes),
            "dropped": dict(made.dropped),
        }
    )


def _given(
    captions: str | None, instances: str | None, recipe: Path | None, classes: list[str] | None
) -> tuple[dict[str, Any] | None, dict[str, list[str]]]:
    """The captions there are, and the classes, of the options or else of the recipe."""
    from diffucurate.generator.recipe.recipe import Recipe

    if instances is not None and captions is None:
        raise InvalidSetting("instances", instances, "they go with --captions; give COCO's captions there")
    loaded = None if recipe is None else Recipe.load(recipe)
    named = dict(values_in(text) if "=" in text else (text, [text]) for text in classes or ())
    if loaded is None and not named:
        raise InvalidSetting("classes", None, "name what captions shall show with --class, or a --recipe")
    found: dict[str, Any] | None = None
    if captions is not None:
        found = {"path": captions, "instances": instances}
    elif loaded is not None and loaded.captions is not None:
        found = loaded.captions.model_dump(mode="json")
    return found, named or ({} if loaded is None else loaded.classes)
