"""``diffucurate augment``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from diffucurate.generator.text.parsing import parse_attributes, parse_classes, parse_sizes, parse_strength
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import (
    Attributes,
    BatchSize,
    Classes,
    Count,
    DatasetArgument,
    Device,
    Guidance,
    Json,
    Model,
    Prompt,
    Samples,
    Seed,
    Size,
    Steps,
    Strength,
    View,
)


@command(example="diffucurate augment photos --field ground_truth --variants 4 --part background --min-iou 0.6")
def augment(
    context: typer.Context,
    dataset: DatasetArgument,
    field: Annotated[str, typer.Option(help="The label source or field whose labels are kept.")],
    view: View = None,
    samples: Samples = None,
    variants: Annotated[int, typer.Option(min=1, help="New images of each image.")] = 4,
    part: Annotated[str, typer.Option(help="image, objects or background: what is painted anew.")] = "image",
    strength: Strength = None,
    margin: Annotated[
        float | None, typer.Option(min=0, max=2, help="What to paint around, as a share of the object's side.")
    ] = None,
    min_iou: Annotated[
        float | None, typer.Option(min=0, max=1, help="Labels that attention finds with less IoU are tagged.")
    ] = None,
    prompt: Prompt = None,
    attributes: Attributes = None,
    classes: Classes = None,
    learn_words: Annotated[
        bool, typer.Option("--learn-words", help="Learn a word for each class first, from its objects.")
    ] = False,
    word_steps: Annotated[int, typer.Option(min=1, help="Steps of learning a word.")] = 500,
    words_folder: Annotated[Path | None, typer.Option(help="Where words go by name; ~/.diffucurate/words.")] = None,
    model: Model = None,
    size: Size = None,
    steps: Steps = None,
    guidance: Guidance = None,
    seed: Seed = None,
    count: Count = None,
    batch_size: BatchSize = None,
    device: Device = None,
    save_as: Annotated[
        str | None, typer.Option("--save-as", metavar="NAME", help="Another dataset for the variants.")
    ] = None,
    json: Json = False,
) -> None:
    """Paint variants of labelled images that keep their labels, check each label by attention, and add them beside."""
    terminal = terminal_of(context)
    sizes = parse_sizes(size)
    content: dict[str, Any] = {
        "strength": parse_strength(strength),
        "attributes": parse_attributes(attributes) or None,
        "classes": parse_classes(classes),
        "size": sizes[0] if sizes else None,
    }
    with terminal.progress("augment") as progress:
        images = samples_of(dataset, view, samples)
        from diffucurate.plugin.augmentation.augment import augment as run
        from diffucurate.plugin.store import field_names

        painted = run(
            images,
            field,
            variants=variants,
            part=part,
            margin=margin,
            min_iou=min_iou,
            prompt=prompt or None,
            learn_words=learn_words,
            word_steps=word_steps,
            words_folder=words_folder,
            model=model,
            steps=steps,
            guidance=guidance,
            seed=seed or 0,
            count=count,
            batch_size=batch_size,
            device=device,
            save_as=save_as,
            progress=progress,
            **{name: value for name, value in content.items() if value is not None},
        )
        doubtful = len(painted.match_labels(tags=field_names.UNCONFIRMED))
    terminal.show(
        f"{painted.dataset_name}: {len(painted)} variants with the tag 'augmented', "
        f"{doubtful} of them with labels that attention does not confirm"
    )
    terminal.result({"dataset": painted.dataset_name, "variants": painted.values("id"), "with_unconfirmed": doubtful})
