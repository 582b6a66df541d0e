"""``diffucurate fuse``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.text.parsing import parse_names
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import DatasetArgument, Iou, Json, View


@command(example="diffucurate fuse night-streets attention,yolov8 --lone attention=0.3,yolov8=0.7")
def fuse(
    context: typer.Context,
    dataset: DatasetArgument,
    sources: Annotated[str, typer.Argument(metavar="A,B,...", help="Sources such as attention, or fields.")],
    into: Annotated[str, typer.Option(help="The name under which the fused labels are stored.")] = "fused",
    view: View = None,
    iou: Iou = 0.5,
    lone: Annotated[
        str,
        typer.Option(
            metavar="SHARE|A=SHARE,...",
            help="Least confidence of an object that one source alone has; of sources not named none is kept.",
        ),
    ] = "0.4",
    method: Annotated[
        Literal["auto", "weighted", "em"], typer.Option(help="How one outline is made of several.")
    ] = "auto",
    json: Json = False,
) -> None:
    """Make one set of labels of those of several sources; each instance lists the sources that have it."""
    terminal = terminal_of(context)
    names, alone = parse_names([sources], "sources") or [], _lone(lone)
    with terminal.progress(f"fuse {' '.join(names)}") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.generator.fusion.settings import FusionSettings
        from diffucurate.plugin.fusion.fuse import fuse as run

        settings = FusionSettings(iou=iou, lone=alone, method=method)
        fusion = run(samples, names, into=into, settings=settings, progress=progress)
    skipped = f", {fusion.skipped} skipped" if fusion.skipped else ""
    terminal.show(f"{dataset}: {fusion.instances} instances in {fusion.source} of {fusion.samples} images{skipped}")
    for found_by, count in fusion.found_by.items():
        terminal.show(f"  {count} found by {found_by}")
    for reason in fusion.left_out:
        terminal.say(reason)
    terminal.result({"dataset": dataset, **fusion.to_dict()})


def _lone(text: str) -> Any:
    """``0.4``, or ``attention=0.3,yolov8=0.7``."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    try:
        if len(pairs) == 1 and not pairs[0][1]:
            return float(pairs[0][0])
        return {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        raise InvalidSetting("lone", text, "give a share such as 0.4, or one by source: attention=0.3") from None
