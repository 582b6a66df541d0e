"""``diffucurate train-segmenter``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.generator.segmenters.settings import SegmenterSettings
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

_DEFAULTS = SegmenterSettings()


@command("train-segmenter", example="diffucurate train-segmenter night-streets --source fused --view curated")
def train_segmenter(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Source,
    view: View = None,
    classes: ClassNames = None,
    name: Annotated[
        str | None, typer.Option(help="What to call its files; the dataset and the source if left out.")
    ] = None,
    start: Annotated[
        str, typer.Option(help="An architecture, as yolov8s-seg, or the .pt file of a segmenter to train further.")
    ] = _DEFAULTS.start,
    epochs: Annotated[int, typer.Option(help="How many times each image is seen, at most.")] = _DEFAULTS.epochs,
    patience: Annotated[
        int, typer.Option(help="Stop after so many epochs without a better one; 0: never.")
    ] = _DEFAULTS.patience,
    image_size: Annotated[
        int | None, typer.Option(help="Longer side in pixels; the largest image's, at most 640, if left out.")
    ] = None,
    batch_size: BatchSize = None,
    learning_rate: Annotated[float | None, typer.Option(help="Chosen by the data if left out.")] = None,
    val: Annotated[
        float, typer.Option(help="Share of the images that no step learns from and figures are of.")
    ] = _DEFAULTS.val,
    mosaic: Annotated[float, typer.Option(help="Share of training images that are mosaics of four.")] = 1.0,
    into: Annotated[
        str | None, typer.Option(metavar="NAME", help="Have it label the same images at the end, under this name.")
    ] = None,
    seed: Seed = None,
    device: Device = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Read a start that holds more than a network; runs its code.")
    ] = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Train a YOLO segmenter on one source's labels; stopped, the same call goes on after the last whole epoch."""
    terminal, named = terminal_of(context), parse_names(classes, "classes")
    with terminal.progress("train-segmenter") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.plugin.segmenters.train import train_segmenter as run

        trained = run(
            samples,
            source,
            name=name,
            classes=named,
            into=into,
            start=start,
            epochs=epochs,
            patience=patience,
            image_size=image_size,
            batch_size=batch_size or _DEFAULTS.batch_size,
            learning_rate=learning_rate,
            val=val,
            mosaic=mosaic,
            seed=seed or 0,
            device=device,
            overwrite=overwrite,
            trust_pickle=trust_pickle,
            progress=progress,
        )
    figures = trained.figures
    terminal.show(
        f"{trained.files.name}: mask AP50 {figures.mask_map50:.3f}, AP {figures.mask_map:.3f} after {trained.epochs} "
        f"epochs, on the {val:.0%} of the images that it did not learn from"
    )
    for label, value in figures.classes.items():
        terminal.show(f"  {label}: {value:.3f}")
    terminal.show(f"weights: {trained.weights}")
    terminal.show(f"diffucurate label DATASET --source yolov8 --weights {trained.weights} --into student")
    terminal.result({"dataset": dataset, "weights": trained.weights, "epochs": trained.epochs, **figures.to_dict()})
