"""``diffucurate compare``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.text.parsing import parse_names
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import ClassNames, DatasetArgument, Iou, Json, View
from diffucurate.plugin.cli.terminal import Terminal, table


@command(example="diffucurate compare night-streets attention yolov8 --iou 0.75 --classes car,bus")
def compare(
    context: typer.Context,
    dataset: DatasetArgument,
    a: Annotated[str, typer.Argument(metavar="A", help="A source such as attention, or a field such as ground_truth.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, the reference for average precision.")],
    view: View = None,
    classes: ClassNames = None,
    iou: Iou = 0.5,
    mark: Annotated[
        bool, typer.Option(help="Write overlaps, and tags for kinds of disagreement, on the instances.")
    ] = True,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Show which class of A stands where B has which.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare the labels of two sources, or of any two fields of labels, per class and per sample."""
    terminal = terminal_of(context)
    if confusion and not mark:
        raise InvalidSetting("confusion", True, "the matrix is made of the marks; leave out --no-mark")
    names = parse_names(classes, "classes")
    with terminal.progress(f"compare {a} {b}") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.plugin.comparison.compare import compare as run

        comparison = run(samples, a, b, classes=names, iou=iou, mark=mark, progress=progress)
    show_comparison(terminal, comparison)
    if confusion:
        show_confusion(terminal, comparison.confusion)
    terminal.result({"dataset": dataset, **comparison.to_dict()})


def show_confusion(terminal: Terminal, confusion: Any) -> None:
    """Print a ``ConfusionMatrix``: a row per class by ``a``, a column per class by ``b``."""
    columns = (f"{confusion.a} \\ {confusion.b}", *confusion.names)
    terminal.show(table(columns, [(name, *row) for name, row in zip(confusion.names, confusion.counts, strict=True)]))


def show_comparison(terminal: Terminal, comparison: Any) -> None:
    """Print a ``Comparison`` as a table with one row per class and one for all."""
    a, b = comparison.a, comparison.b
    columns = ("class", "matched", f"only {a}", f"only {b}", "mean IoU", "AP")
    terminal.show(table(columns, [tuple(row.values()) for row in comparison.table()]))
    if comparison.without_masks:
        terminal.say(f"matched by boxes, as there are no masks in {' and '.join(comparison.without_masks)}")
    for source, names in comparison.unseen.items():
        terminal.say(f"not compared, as {source} knows no such class or was not asked for it: {', '.join(names)}")
    if comparison.kinds:
        from diffucurate.plugin.comparison.marks import kinds_sentence

        terminal.say(f"tagged: {kinds_sentence(comparison.kinds)}")
    skipped = f"; {comparison.skipped} lack the labels of one" if comparison.skipped else ""
    terminal.show(f"agreement {comparison.agreement:.3f} over {comparison.samples} images{skipped}")
