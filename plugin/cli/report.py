"""``diffucurate report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import DatasetArgument, Json, Overwrite, View


@command(example="diffucurate report night-streets --view good --to page.html --reference photographs")
def report(
    context: typer.Context,
    dataset: DatasetArgument,
    to: Annotated[Path, typer.Option(metavar="FILE", help="The page to write, as in page.html.")],
    view: View = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose labels; those compared last if left out.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="The source that agreement is measured against.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="DATASET", help="Images to compare with, as in FID and KID.")
    ] = None,
    reference_view: Annotated[
        str | None, typer.Option(metavar="NAME", help="A saved view of that dataset, to take only its images.")
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A field of vectors or a similarity run; simple histograms if left out."),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write one page of HTML on a dataset: examples, counts, diversity, fidelity, agreement, calibration."""
    terminal = terminal_of(context)
    with terminal.progress("report") as progress:
        samples = samples_of(dataset, view)
        others = None if reference is None else samples_of(reference, reference_view)
        from diffucurate.plugin.reporting.report import report as run

        summary = run(
            samples,
            to,
            source=source,
            against=against,
            reference=others,
            embeddings=embeddings,
            overwrite=overwrite,
            progress=progress,
        )
    terminal.show(f"{dataset}: a report on {summary.images} images was written to {summary.path}")
    for name, value in summary.figures.items():
        terminal.show(f"  {name.replace('_', ' ')}: {value:.4g}")
    for title, why in summary.missing.items():
        terminal.say(f"{title}: {why}")
    terminal.result({"dataset": dataset, "view": view, **summary.to_dict()})
