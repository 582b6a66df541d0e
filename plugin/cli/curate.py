"""``diffucurate curate`` and ``diffucurate undo``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.cli.app import DatasetArgument, Json, app, names_in, terminal_of
from diffucurate.plugin.cli.datasets import samples_of


@app.command()
def curate(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Annotated[str, typer.Option(help="The label source, or field of detections, to judge by.")],
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1, help="Keep instances at least so sure.")] = None,
    min_agreement: Annotated[
        float | None, typer.Option(min=0, max=1, help="Keep images with at least so much agreement.")
    ] = None,
    against: Annotated[str | None, typer.Option(help="The source that agreement is measured against.")] = None,
    classes: Annotated[str | None, typer.Option(help="car,bus,... to keep only instances of these.")] = None,
    min_area: Annotated[float | None, typer.Option(min=0, max=1, help="Least share of the image.")] = None,
    max_area: Annotated[float | None, typer.Option(min=0, max=1, help="Greatest share of the image.")] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=LEAST:GREATEST, either may be left out, as in uniqueness=0.2: (repeatable)."),
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
        str | None, typer.Option(help="Field or similarity run to measure that on; small pictures if left out.")
    ] = None,
    view: Annotated[str | None, typer.Option(help="The view that is saved, and the tag; 'curated' by default.")] = None,
    json: Json = False,
) -> None:
    """Choose the samples that pass some rules, tag them and save them as a view."""
    terminal = terminal_of(context)
    scores = dict(_limits(text) for text in score or ())
    names = names_in(classes)
    with terminal.progress("curate") as progress:
        samples = samples_of(dataset)
        from diffucurate.plugin.curation.curate import curate as run
        from diffucurate.plugin.curation.curate import curations
        from diffucurate.plugin.fiftyone_private import dataset_behind

        kept = run(
            samples,
            source=source,
            min_confidence=min_confidence,
            min_agreement=min_agreement,
            against=against,
            classes=names,
            min_area=min_area,
            max_area=max_area,
            scores=scores,
            max_per_class=max_per_class,
            exact_duplicates=exact_duplicates,
            near_duplicates=near_duplicates or False,
            embeddings=embeddings,
            view=view,
            progress=progress,
        )
    made = next(curation for curation in curations(dataset_behind(kept)) if curation.name == kept.name)
    terminal.show(f"{dataset}: {len(kept)} of {len(samples)} images kept, saved as view '{kept.name}'")
    if made.count is not None and made.count.removed:
        terminal.show(made.count.reasons())
    terminal.result({"dataset": dataset, "view": kept.name, "kept": len(kept), "samples": len(samples)})


@app.command()
def undo(
    context: typer.Context,
    dataset: DatasetArgument,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The curation's name.")] = "curated",
    json: Json = False,
) -> None:
    """Take back a curation: its tag and saved view go, and what they replaced comes back."""
    terminal = terminal_of(context)
    samples = samples_of(dataset)
    from diffucurate.plugin.curation.curate import undo_curation as run

    undone = run(samples, name)
    terminal.show(f"{dataset}: curation '{name}' is undone, its saved view {undone.view}")
    terminal.result({"dataset": dataset, **asdict(undone)})


def _limits(text: str) -> tuple[str, tuple[float | None, float | None]]:
    """``uniqueness=0.2:0.9`` as a field and its limits, either of which may be left out."""
    name, _, span = (piece.strip() for piece in text.partition("="))
    ends = [end.strip() for end in span.split(":")]
    try:
        if not name or len(ends) != 2:
            raise ValueError
        low, high = (float(end) if end else None for end in ends)
    except ValueError:
        raise InvalidSetting("score", text, "give a field and its limits, as in uniqueness=0.2: or seed=1:9") from None
    return name, (low, high)
