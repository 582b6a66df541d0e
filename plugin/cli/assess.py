"""``diffucurate assess``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.generator.text.parsing import parse_names
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import BatchSize, DatasetArgument, Device, Json, View


@command(example="diffucurate assess night-streets --source attention --checks image,masks,flip")
def assess(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose labels are measured; without it images alone are.")
    ] = None,
    checks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="image, masks, prompt, flip, mistakenness, label_quality, noise, clip; the first two if left "
            "out (repeatable).",
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="The source that agreement is measured against.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="Train so many segmenters, each on all but a part of the images, as second source."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="How many times each image is seen, at most.")] = 100,
    clip_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="For clip: a folder or a hub id of a CLIP model.")
    ] = None,
    view: View = None,
    device: Device = None,
    batch_size: BatchSize = None,
    json: Json = False,
) -> None:
    """Measure images and labels: numbers on the samples, by which curate and the App choose."""
    terminal = terminal_of(context)
    named = parse_names(checks, "checks")
    with terminal.progress("assess") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.plugin.quality.assess import assess as run
        from diffucurate.plugin.quality.checks import USUAL

        training = None
        if folds is not None:
            from diffucurate.generator.segmenters.settings import SegmenterSettings

            training = SegmenterSettings(epochs=epochs)
        assessment = run(
            samples,
            source=source,
            checks=USUAL if named is None else named,
            against=against,
            folds=folds,
            training=training,
            clip_model=clip_model,
            device=device,
            batch_size=batch_size,
            progress=progress,
        )
    terminal.show(f"{dataset}: {assessment.samples} images measured")
    for field, meaning in assessment.fields.items():
        mean = assessment.means[field]
        terminal.show(f"  {field}: {'none' if mean is None else f'{mean:.3g} on average'}. {meaning}")
    for path in assessment.unreadable:
        terminal.say(f"{path} cannot be read")
    terminal.result({"dataset": dataset, **assessment.to_dict()})
