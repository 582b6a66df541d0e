"""``diffucurate mask2img``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.from_images import content_of, ids_in, show_added
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
    SaveDatasetAs,
    Seeds,
    Size,
    Steps,
    View,
)


@command(example='diffucurate mask2img streets --field ground_truth --prompt "a photo of {labels} at night"')
def mask2img(
    context: typer.Context, dataset: DatasetArgument,
    field: Annotated[str, typer.Option(help="The label source or field whose labels are the masks.")],
    view: View = None, samples: Samples = None, prompt: Prompt = None,
    until: Annotated[
        float | None, typer.Option(min=0, max=1, help="The share of the steps, from the first, in which masks hold.")
    ] = None,
    boost: Annotated[
        float | None, typer.Option(min=1, help="How many times as much pixels attend to the words of their class.")
    ] = None,
    words: Annotated[
        str | None, typer.Option(metavar="shared|own", help="own: pixels of a class see the words of that class alone.")
    ] = None,
    guide: Annotated[
        float | None, typer.Option(min=0, help="How strongly classes are guided to their masks' centres and sizes: 12.")
    ] = None,
    attributes: Attributes = None, classes: Classes = None, model: Model = None, size: Size = None,
    seeds: Seeds = None, steps: Steps = None, guidance: Guidance = None, count: Count = None,
    batch_size: BatchSize = None, device: Device = None, save_as: SaveDatasetAs = None, json: Json = False,
) -> None:  # fmt: skip
    """Paint images by the labels of a dataset, which are then their labels. A recipe takes folders of masks, too."""
    terminal = terminal_of(context)
    content = content_of(None, classes, attributes, model, size, seeds, steps, guidance)
    with terminal.progress("mask2img") as progress:
        masks = samples_of(dataset, view, samples)
        from diffucurate.plugin.generation.mask2img import mask2img as run
        from diffucurate.plugin.store.samples import dataset_of

        before = ids_in(save_as or f"{dataset_of(masks).name}-by-mask")
        painted = run(
            masks,
            field,
            prompt=prompt or (),
            until=until,
            boost=boost,
            words=words,
            guide=guide,
            save_as=save_as,
            count=count,
            batch_size=batch_size,
            device=device,
            progress=progress,
            **content,
        )
    show_added(terminal, painted, before)
