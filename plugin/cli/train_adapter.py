"""``diffucurate train-adapter``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.generator.detection.settings import AdapterSettings
from diffucurate.generator.text.parsing import parse_names
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import (
    BatchSize,
    ClassNames,
    DatasetArgument,
    Device,
    Json,
    Overwrite,
    Seed,
    Source,
    View,
)

_DEFAULTS = AdapterSettings()


@command("train-adapter", example="diffucurate train-adapter photos --source ground_truth --view train --steps 2000")
def train_adapter(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Source,
    view: View = None,
    classes: ClassNames = None,
    name: Annotated[
        str | None, typer.Option(help="What to call its files; the dataset and the source if left out.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The diffusion model whose features are read; the built-in one if left out.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training.")] = _DEFAULTS.steps,
    batch_size: BatchSize = None,
    learning_rate: Annotated[float, typer.Option(help="Of the head.")] = _DEFAULTS.learning_rate,
    noise: Annotated[
        float, typer.Option(help="Noise of the pass that reads features, a share of the schedule.")
    ] = _DEFAULTS.noise,
    val: Annotated[
        float, typer.Option(help="Share of the images that no step learns from and figures are of.")
    ] = _DEFAULTS.val,
    flip: Annotated[bool, typer.Option(help="See half of the images in a mirror.")] = _DEFAULTS.flip,
    seed: Seed = None,
    device: Device = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Train a head on a diffusion model's features, on one source's labels, to find objects in any images."""
    terminal = terminal_of(context)
    named = parse_names(classes, "classes")
    with terminal.progress("train-adapter") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.plugin.detection.train import train_adapter as run

        trained = run(
            samples,
            source,
            name=name,
            classes=named,
            model=model,
            steps=steps,
            batch_size=batch_size or _DEFAULTS.batch_size,
            learning_rate=learning_rate,
            noise=noise,
            val=val,
            flip=flip,
            seed=seed or 0,
            device=device,
            overwrite=overwrite,
            progress=progress,
        )
    terminal.show(
        f"{trained.files.name}: AP50 {trained.map50:.3f} after {trained.steps} steps, on the {val:.0%} of the images "
        "that it did not learn from"
    )
    for label, value in trained.precision.items():
        terminal.show(f"  {label}: {value:.3f}")
    terminal.show(f"diffucurate label DATASET --source adapter --weights {trained.weights}")
    result = {"weights": str(trained.weights), "steps": trained.steps, "ap50": trained.map50}
    terminal.result({"dataset": dataset, **result, "classes": dict(trained.precision)})
