"""``diffucurate train-token``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import (
    BatchSize,
    DatasetArgument,
    Device,
    Json,
    Model,
    Overwrite,
    Samples,
    Seed,
    View,
)


@command("train-token", example="diffucurate train-token my-pianos '<piano>' --vectors 4 --lora all")
def train_token(
    context: typer.Context,
    dataset: DatasetArgument,
    placeholder: Annotated[str, typer.Argument(metavar="WORD", help="How prompts will write it, as in '<piano>'.")],
    view: View = None,
    samples: Samples = None,
    field: Annotated[
        str | None, typer.Option(help="Learn from the objects of this label field; whole images if left out.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Which of its classes; needed where it has several.")] = None,
    crop: Annotated[bool, typer.Option(help="Cut each object out, or learn from whole images with its mask.")] = True,
    caption_field: Annotated[
        str | None, typer.Option(help="A field with a text for each image, with {} or the label where the word goes.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call its files; the word's letters if left out.")] = None,
    initializer: Annotated[str | None, typer.Option(help="Words that its vectors start from, such as car.")] = None,
    vectors: Annotated[int | None, typer.Option(help="Vectors that the word has; 1 if left out.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps to learn in; 1000 if left out.")] = None,
    batch_size: BatchSize = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the vectors; 0.005 if left out.")] = None,
    captions: Annotated[
        list[str] | None, typer.Option(help="'thing', 'style', or a text with {} for the word (repeatable).")
    ] = None,
    outside: Annotated[float | None, typer.Option(help="Weight of errors outside of masks; 1 if left out.")] = None,
    lora: Annotated[
        str | None, typer.Option(metavar="LAYERS", help="Learn a LoRA too: of text, attention or all layers.")
    ] = None,
    lora_rank: Annotated[int | None, typer.Option(help="Of the LoRA; 8 if left out.")] = None,
    lora_learning_rate: Annotated[
        float | None, typer.Option(help="Learning rate of the LoRA; 0.001 if left out.")
    ] = None,
    preview_every: Annotated[int | None, typer.Option(help="Steps between preview images; 0 for none.")] = None,
    seed: Seed = None,
    model: Model = None,
    device: Device = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Teach a diffusion model a new word from 3 to 50 samples, to use in recipes; stopped, the same call goes on."""
    terminal = terminal_of(context)
    settings: dict[str, Any] = {
        "initializer": initializer,
        "vectors": vectors,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "outside": outside,
        "preview_every": preview_every,
        "seed": seed,
        "captions": captions[0] if captions and captions[0] in ("thing", "style") else captions,
        "lora": _low_rank(lora, lora_rank, lora_learning_rate),
    }
    with terminal.progress("train-token") as progress:
        examples = samples_of(dataset, view, samples)
        from diffucurate.plugin.tokens.train import train_token as run

        learned = run(
            examples,
            placeholder,
            field=field,
            label=label,
            crop=crop,
            caption_field=caption_field,
            name=name,
            model=model,
            device=device,
            overwrite=overwrite,
            progress=progress,
            **{key: value for key, value in settings.items() if value is not None},
        )
    terminal.show(f"{placeholder}: loss {learned.loss:.4f} after {len(learned.losses)} steps")
    terminal.show(f"word: {learned.path}")
    if learned.lora is not None:
        terminal.show(f"LoRA: {learned.lora}")
    terminal.show(f"loss: {learned.plot}")
    for path in learned.previews:
        terminal.show(f"preview: {path}")
    terminal.result(
        {
            "dataset": dataset,
            "placeholder": placeholder,
            "recipe": learned.recipe_parts(),
            "loss": learned.loss,
            "steps": len(learned.losses),
            "plot": learned.plot,
            "previews": learned.previews,
        }
    )


def _low_rank(layers: str | None, rank: int | None, rate: float | None) -> dict[str, Any] | None:
    settings = {"layers": layers, "rank": rank, "learning_rate": rate}
    return {name: value for name, value in settings.items() if value is not None} or None
