"""``diffucurate export``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from diffucurate.generator.exports.splits import parse_splits
from diffucurate.generator.text.parsing import parse_names
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import ClassNames, DatasetArgument, Json, Overwrite, Seed, Source, View


class Format(StrEnum):
    """The formats ``export`` can write."""

    coco = "coco"
    yolo = "yolo"
    voc = "voc"
    semantic = "semantic"
    huggingface = "huggingface"
    parquet = "parquet"
    lvis = "lvis"
    cvat = "cvat"


@command(
    example="diffucurate export night-streets out/yolo --format yolo --source attention --view good "
    "--splits train=0.8,val=0.2"
)
def export(
    context: typer.Context,
    dataset: DatasetArgument,
    out_dir: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    format: Annotated[Format, typer.Option(help="What to write.")],
    source: Source,
    view: View = None,
    classes: ClassNames = None,
    splits: Annotated[
        str | None, typer.Option(metavar="NAME=SHARE,...", help="Shares of the images, as in train=0.8,val=0.2.")
    ] = None,
    together: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="What keeps images in one split: parent, prompt, seed, near; parent if left out (repeatable).",
        ),
    ] = None,
    augmented: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Replace images by augmented variants, each with this probability."),
    ] = None,
    seed: Seed = None,
    check_leaks: Annotated[
        bool, typer.Option("--check-leaks", help="Count the images that nearly equal one of another split.")
    ] = False,
    overwrite: Overwrite = False,
    link_images: Annotated[
        bool,
        typer.Option(
            "--link-images",
            help="Hard links instead of copies; a program that writes to one in place changes the original.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Write images and one source's labels as a dataset that other tools read, with a datasheet."""
    terminal = terminal_of(context)
    shares = None if splits is None else parse_splits(splits)
    kinds = parse_names(together, "together")
    names = parse_names(classes, "classes")
    with terminal.progress(f"export {format.value}") as progress:
        samples = samples_of(dataset, view)
        from humanize import naturalsize

        from diffucurate.plugin.curation.relatives import USUAL
        from diffucurate.plugin.exporting.export import export as run
        from diffucurate.plugin.exporting.size import estimate_size

        what: dict[str, Any] = {"format": format.value, "source": source, "classes": names, "link_images": link_images}
        size = estimate_size(samples, out_dir, **what)
        terminal.say(f"about {naturalsize(size.total_bytes)}; {naturalsize(size.free_bytes)} free there")
        summary = run(
            samples,
            out_dir,
            **what,
            splits=shares,
            together=USUAL if kinds is None else kinds,
            augmented=augmented,
            seed=seed or 0,
            check_leaks=check_leaks,
            overwrite=overwrite,
            progress=progress,
        )
    counts = ", ".join(f"{name} {images} images" for name, images in summary.images.items())
    terminal.show(f"{dataset}: {sum(summary.instances.values())} instances written to {summary.folder} ({counts})")
    for note in (*summary.notes, *summary.left_out):
        terminal.say(note)
    terminal.show(summary.first_step())
    terminal.result({"dataset": dataset, "view": view, **summary.to_dict()})
