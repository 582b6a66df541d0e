"""``diffucurate compare``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from diffucurate.plugin.cli.app import DatasetArgument, Json, app, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.terminal import Terminal, table


@app.command()
def compare(
    context: typer.Context,
    dataset: DatasetArgument,
    a: Annotated[str, typer.Argument(metavar="A", help="A source such as attention, or a field such as ground_truth.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, the reference for average precision.")],
    json: Json = False,
) -> None:
    """Compare the labels of two sources, or of any two fields with instances, per class and per sample."""
    terminal = terminal_of(context)
    with terminal.progress(f"compare {a} {b}") as progress:
        samples = samples_of(dataset)
        from diffucurate.plugin.comparison.compare import compare as run

        comparison = run(samples, a, b, progress=progress)
    show_comparison(terminal, comparison)
    terminal.result({"dataset": dataset, **comparison.to_dict()})


def show_comparison(terminal: Terminal, comparison: Any) -> None:
    """Print a ``Comparison`` as a table with one row per class and one for all."""
    a, b = comparison.a, comparison.b
    columns = ("class", "matched", f"only {a}", f"only {b}", "mean IoU", "AP")
    terminal.show(table(columns, [tuple(row.values()) for row in comparison.table()]))
    if comparison.without_masks:
        terminal.say(f"matched by boxes, as there are no masks in {' and '.join(comparison.without_masks)}")
    skipped = f"; {comparison.skipped} lack the labels of one" if comparison.skipped else ""
    terminal.show(f"agreement {comparison.agreement:.3f} over {comparison.samples} images{skipped}")
