"""``diffucurate label``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.cli.app import DatasetArgument, Json, app, names_in, terminal_of
from diffucurate.plugin.cli.datasets import samples_of

if TYPE_CHECKING:
    from diffucurate.generator.labels.settings import Settings


class LabelSourceName(StrEnum):
    """The sources ``label`` can use."""

    attention = "attention"
    yolov8 = "yolov8"


@app.command()
def label(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Annotated[LabelSourceName, typer.Option(help="What makes the labels.")],
    weights: Annotated[Path | None, typer.Option(help="YOLO weights; the built-in ones if left out.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Diffusion model for attention on images painted elsewhere.")
    ] = None,
    refiner: Annotated[
        str | None, typer.Option(help="attention: a Segment Anything model that redraws outlines where it agrees.")
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="attention: a token from 'learn-token' that helps to find its class; may be repeated."
        ),
    ] = None,
    contrast: Annotated[
        bool | None,
        typer.Option(
            "--contrast/--no-contrast",
            show_default=False,
            help="attention: whether a model that looks at an image is asked again without each class: finds more, and "
            "takes as many passes again for each. By default for images with a prompt; --contrast: for all.",
        ),
    ] = None,
    classes: Annotated[str | None, typer.Option(help="car,bus,... for attention on images painted elsewhere.")] = None,
    view: Annotated[str | None, typer.Option(help="A saved view, to label only its samples.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="attention: heat a pixel needs, compared with the hottest one.")
    ] = None,
    cut: Annotated[
        str | None,
        typer.Option(
            help="attention: how the threshold is found: otsu, steepest, agreement, fixed, or learned, which is what "
            "tokens bring along and is taken where there are some."
        ),
    ] = None,
    edge_reach: Annotated[
        float | None, typer.Option(min=0, max=0.5, help="attention: how far edges of the image pull outlines.")
    ] = None,
    min_area: Annotated[
        float | None, typer.Option(min=0, max=1, help="attention: smallest object, as a share of the image.")
    ] = None,
    min_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="attention: smallest object, as a share of its class's largest.")
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Instances that are less certain are left out.")
    ] = None,
    min_agreement: Annotated[
        float | None, typer.Option(min=0, max=1, help="attention: least IoU of the refiner's mask with attention's.")
    ] = None,
    counted: Annotated[
        bool | None,
        typer.Option(
            "--counted/--no-counted",
            show_default=False,
            help="attention: whether a prompt that says 'two cars' makes slight hints enough to cut one in two "
            "(the default), or not.",
        ),
    ] = None,
    max_overlap: Annotated[
        float | None, typer.Option(min=0, max=1, help="yolov8: of two instances that overlap more one is left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Label a dataset's images with one source; its earlier labels are replaced."""
    terminal = terminal_of(context)
    names = names_in(classes)
    options = {
        "threshold": threshold,
        "cut": cut,
        "edge_reach": edge_reach,
        "min_area": min_area,
        "min_share": min_share,
        "min_confidence": min_confidence,
        "min_agreement": min_agreement,
        "counted": counted,
        "max_overlap": max_overlap,
    }
    settings = _settings(source.value, options)
    with terminal.progress(f"label {source.value}") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.plugin.labelling.label import label as run
        from diffucurate.plugin.store.field_names import instances

        run(
            samples,
            source=source.value,
            weights=str(weights) if weights else None,
            model=model,
            refiner=refiner,
            tokens=token or None,
            contrast=contrast,
            classes=names,
            settings=settings,
            progress=progress,
        )
    found = samples.count(f"{instances(source.value)}.detections")
    terminal.show(f"{dataset}: {found} instances found in {len(samples)} images by {source.value}")
    terminal.result({"dataset": dataset, "source": source.value, "samples": len(samples), "instances": found})


def _settings(source: str, options: Mapping[str, float | str | None]) -> Settings | None:
    """The settings of a label source from the options that were given; None where none was."""
    from diffucurate.generator.labels.settings import SETTINGS, settings_of

    fields = {"floor" if name == "threshold" else name: value for name, value in options.items() if value is not None}
    for name, value in fields.items():
        if name not in SETTINGS[source].model_fields:
            option = "threshold" if name == "floor" else name
            raise InvalidSetting(option, value, f"source '{source}' has no such setting; leave it out")
    return settings_of(source, fields) if fields else None
