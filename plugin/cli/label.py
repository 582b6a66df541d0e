"""``diffucurate label``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.text.parsing import parse_classes, parse_names
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import (
    Classes,
    DatasetArgument,
    Device,
    Json,
    Model,
    Samples,
    Tokens,
    View,
)

if TYPE_CHECKING:
    from diffucurate.generator.labels.settings import Settings


class LabelSourceName(StrEnum):
    """The sources ``label`` can use."""

    attention = "attention"
    yolov8 = "yolov8"


@command(example="diffucurate label night-streets --source yolov8 --min-confidence 0.5")
def label(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Annotated[LabelSourceName, typer.Option(help="What makes the labels.")],
    view: View = None,
    samples: Samples = None,
    classes: Classes = None,
    weights: Annotated[Path | None, typer.Option(help="YOLO weights; the built-in ones if left out.")] = None,
    model: Model = None,
    refiner: Annotated[
        str | None, typer.Option(help="attention: a Segment Anything model that redraws outlines where it agrees.")
    ] = None,
    tokens: Tokens = None,
    contrast: Annotated[
        bool | None,
        typer.Option(
            "--contrast/--no-contrast",
            show_default=False,
            help="attention: whether a model that looks at an image is asked again without each class: finds more, and "
            "takes as many passes again for each. By default for images with a prompt; --contrast: for all.",
        ),
    ] = None,
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
    device: Device = None,
    json: Json = False,
) -> None:
    """Label a dataset's images with one source; its earlier labels are replaced."""
    terminal = terminal_of(context)
    named, token_names = parse_classes(classes), parse_names(tokens, "tokens")
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
        labelled = samples_of(dataset, view, samples)
        from diffucurate.plugin.labelling.label import label as run
        from diffucurate.plugin.store.field_names import instances

        run(
            labelled,
            source=source.value,
            weights=str(weights) if weights else None,
            model=model,
            refiner=refiner,
            tokens=token_names,
            contrast=contrast,
            classes=named,
            settings=settings,
            device=device,
            progress=progress,
        )
    count = labelled.count(f"{instances(source.value)}.detections")
    terminal.show(f"{dataset}: {count} instances found in {len(labelled)} images by {source.value}")
    terminal.result({"dataset": dataset, "source": source.value, "samples": len(labelled), "instances": count})


def _settings(source: str, options: Mapping[str, float | str | None]) -> Settings | None:
    """The settings of a label source from the options that were given; None where none was."""
    from diffucurate.generator.labels.settings import SETTINGS, settings_of

    fields = {"floor" if name == "threshold" else name: value for name, value in options.items() if value is not None}
    for name, value in fields.items():
        if name not in SETTINGS[source].model_fields:
            option = "threshold" if name == "floor" else name
            raise InvalidSetting(option, value, f"source '{source}' has no such setting; leave it out")
    return settings_of(source, fields) if fields else None
