"""``diffucurate review``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import DatasetArgument, Json, View
from diffucurate.plugin.cli.terminal import table


@command(example="diffucurate review night-streets attention yolov8 --by iou --limit 20")
def review(
    context: typer.Context,
    dataset: DatasetArgument,
    a: Annotated[str, typer.Argument(metavar="A", help="A source such as attention, or a field such as ground_truth.")],
    b: Annotated[
        str | None, typer.Argument(metavar="[B]", help="Another that A was compared with; A alone if left out.")
    ] = None,
    view: View = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="ORDER",
            help="agreement, confidence, iou or a field of numbers, the least first (the greatest with a minus before "
            "the name), or a kind of disagreement such as 'wrong class'; agreement, for one source confidence, if left "
            "out.",
        ),
    ] = None,
    of: Annotated[Literal["objects", "images"], typer.Option(help="What is decided on one by one.")] = "objects",
    limit: Annotated[int, typer.Option(min=0, help="How many of those that come next to list.")] = 10,
    json: Json = False,
) -> None:
    """Show what the App's panel Review asks in this order: the progress, and what comes next."""
    terminal = terminal_of(context)
    samples = samples_of(dataset, view)
    from diffucurate.plugin.review.review import review as run

    queue = run(samples, a, b, by=by, of=of)
    items, counts = queue.upcoming(limit), queue.counts
    terminal.show(f"{dataset}: {_progress(counts)}")
    if items:
        sides = [side.name for side in queue.sides] if of == "objects" else []
        terminal.show(table(("sample", "class", queue.order.name, *sides), [_row(item, len(sides)) for item in items]))
    if left_out := counts.left - len(items):
        terminal.say(f"and {left_out:,} more; decide on them in the App's panel Review")
    terminal.result(
        {
            "dataset": dataset, "a": a, "b": b, "by": queue.order.name, "of": of, "run": queue.run_key,
            "counts": {**counts.to_dict(), "total": counts.total}, "next": [item.to_dict() for item in items],
        }
    )  # fmt: skip


def _progress(counts: Any) -> str:
    """As in '14 of 300 decided: a 8, neither 4; 2 before or elsewhere'."""
    done = counts.total - counts.left
    decisions = ", ".join(f"{decision} {number:,}" for decision, number in counts.decided.items())
    earlier = f"; {counts.before:,} before or elsewhere" if counts.before else ""
    return f"{done:,} of {counts.total:,} decided{f': {decisions}' if decisions else ''}{earlier}"


def _row(item: Any, sides: int) -> tuple[object, ...]:
    score = "-" if item.score is None else f"{item.score:.3f}"
    return (item.sample_id, item.label or "-", score, *(identifier or "-" for identifier in (item.a, item.b)[:sides]))
