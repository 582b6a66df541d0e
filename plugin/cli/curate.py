"""``diffucurate curate`` and ``diffucurate undo-curation``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from diffucurate.generator.text.parsing import parse_class_confidence, parse_names, parse_scores
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import ClassNames, DatasetArgument, Json, SaveViewAs, Source, View


@command(
    example="diffucurate curate night-streets --source attention --against yolov8 --min-agreement 0.6 --save-as good"
)
def curate(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Source,
    view: View = None,
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1, help="Keep instances at least so sure.")] = None,
    class_confidence: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS=LEAST", help="The same for one class, as in car=0.7 (repeatable)."),
    ] = None,
    min_agreement: Annotated[
        float | None, typer.Option(min=0, max=1, help="Keep images with at least so much agreement.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="The source that agreement is measured against.")
    ] = None,
    classes: ClassNames = None,
    min_area: Annotated[float | None, typer.Option(min=0, max=1, help="Least share of the image.")] = None,
    max_area: Annotated[float | None, typer.Option(min=0, max=1, help="Greatest share of the image.")] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=LEAST:GREATEST",
            help="Limits of a score, either may be left out, as in uniqueness=0.2: (repeatable).",
        ),
    ] = None,
    max_per_class: Annotated[
        int | None, typer.Option(min=1, help="Keep at most so many images of a class, the best.")
    ] = None,
    exact_duplicates: Annotated[
        bool, typer.Option("--exact-duplicates", help="Keep only the best of images whose files are equal.")
    ] = False,
    near_duplicates: Annotated[
        float | None, typer.Option(help="Keep only the best of images that are so near or nearer, such as 0.03.")
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Field or similarity run to measure that on; thumbnails if left out."),
    ] = None,
    backgrounds: Annotated[
        float | None,
        typer.Option(min=0, max=0.99, help="Greatest share of images in which none of the classes was found."),
    ] = None,
    reviewed: Annotated[
        Literal["accepted", "not rejected"] | None,
        typer.Option(help="Keep objects that a person called right, or all that nobody called wrong."),
    ] = None,
    save_as: SaveViewAs = None,
    json: Json = False,
) -> None:
    """Choose the samples that pass some rules, tag them and save them as a view."""
    terminal = terminal_of(context)
    limits, names = parse_scores(scores), parse_names(classes, "classes")
    of_classes = parse_class_confidence(class_confidence)
    with terminal.progress("curate") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.plugin.curation.curate import curate as run
        from diffucurate.plugin.curation.curate import curations
        from diffucurate.plugin.fiftyone_private import dataset_behind

        kept = run(
            samples,
            source=source,
            min_confidence=min_confidence,
            class_confidence=of_classes,
            min_agreement=min_agreement,
            against=against,
            classes=names,
            min_area=min_area,
            max_area=max_area,
            scores=limits,
            max_per_class=max_per_class,
            exact_duplicates=exact_duplicates,
            near_duplicates=near_duplicates or False,
            embeddings=embeddings,
            backgrounds=backgrounds,
            reviewed=reviewed,
            save_as=save_as,
            progress=progress,
        )
    curation = next(curation for curation in curations(dataset_behind(kept)) if curation.name == kept.name)
    terminal.show(f"{dataset}: {len(kept)} of {len(samples)} images kept, saved as view '{kept.name}'")
    if curation.count is not None and curation.count.removed:
        terminal.show(curation.count.reasons())
    terminal.result({"dataset": dataset, "view": kept.name, "kept": len(kept), "samples": len(samples)})


@command("undo-curation", example="diffucurate undo-curation night-streets good")
def undo_curation(
    context: typer.Context,
    dataset: DatasetArgument,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The curation's name.")] = "curated",
    json: Json = False,
) -> None:
    """Undo a curation: remove its tag and saved view, and restore those that they replaced."""
    terminal = terminal_of(context)
    samples = samples_of(dataset)
    from diffucurate.plugin.curation.curate import undo_curation as run

    undone = run(samples, name)
    terminal.show(f"{dataset}: curation '{name}' is undone, its saved view {undone.view}")
    terminal.result({"dataset": dataset, **asdict(undone)})
