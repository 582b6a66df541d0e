"""``diffucurate label``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from diffucurate.generator.sources.registry import source_named
from diffucurate.generator.text.parsing import parse_classes
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import (
    Actors,
    BatchSize,
    Classes,
    DatasetArgument,
    Device,
    Json,
    Ray,
    RayAddress,
    Samples,
    View,
    engine_of,
)
from diffucurate.plugin.cli.source_options import SourceCommand, options_and_settings


@command(example="diffucurate label night-streets --source yolov8 --min-confidence 0.5")
@SourceCommand
def label(
    *,
    context: typer.Context,
    dataset: DatasetArgument,
    source: str,
    view: View = None,
    samples: Samples = None,
    into: Annotated[
        str | None, typer.Option(metavar="NAME", help="Store the labels under this name; the source's if left out.")
    ] = None,
    classes: Classes = None,
    batch_size: BatchSize = None,
    device: Device = None,
    ray: Ray = False,
    ray_address: RayAddress = None,
    actors: Actors = None,
    json: Json = False,
    **values: Any,
) -> None:
    """Label a dataset's images with one source; its earlier labels are replaced."""
    terminal, name = terminal_of(context), str(source)  # typer gives a member of the enumeration of sources
    named = parse_classes(classes)
    options, fields = options_and_settings(name, values)
    settings = source_named(name).make_settings(fields) if fields else None
    with terminal.progress(f"label {name}") as progress:
        labelled = samples_of(dataset, view, samples)
        from diffucurate.plugin.labelling.label import label as run
        from diffucurate.plugin.store.field_names import instances

        run(
            labelled,
            source=name,
            into=into,
            classes=named,
            settings=settings,
            device=device,
            batch_size=batch_size,
            engine=engine_of(ray, ray_address, actors),
            progress=progress,
            **options,
        )
    count = labelled.count(f"{instances(into or name)}.detections")
    terminal.show(f"{dataset}: {count} instances found in {len(labelled)} images by {into or name}")
    terminal.result({"dataset": dataset, "source": into or name, "samples": len(labelled), "instances": count})
