"""``diffucurate evaluate``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from diffucurate.generator.text.parsing import parse_names
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import ClassNames, DatasetArgument, Iou, Json, View
from diffucurate.plugin.cli.terminal import Terminal, table


@command(example="diffucurate evaluate night-streets yolov8 ground_truth --view test")
def evaluate(
    context: typer.Context,
    dataset: DatasetArgument,
    prediction: Annotated[
        str, typer.Argument(metavar="LABELS", help="A source such as yolov8, or a field such as predictions.")
    ],
    truth: Annotated[str, typer.Argument(metavar="TRUTH", help="Labels that count as the truth.")],
    view: View = None,
    classes: ClassNames = None,
    iou: Iou = 0.5,
    across_classes: Annotated[
        bool, typer.Option("--across-classes", help="Match objects of different classes too, for FiftyOne's matrix.")
    ] = False,
    key: Annotated[str | None, typer.Option(help="The key of the evaluation in FiftyOne.")] = None,
    scenarios: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD,...",
            help="Fields whose values the App's panel compares; the prompts' attributes if left out (repeatable).",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Measure labels against others that count as the truth, for FiftyOne's Model Evaluation panel."""
    terminal = terminal_of(context)
    names, fields = parse_names(classes, "classes"), parse_names(scenarios, "scenarios")
    with terminal.progress(f"evaluate {prediction} {truth}") as progress:
        samples = samples_of(dataset, view)
        from diffucurate.plugin.evaluation.evaluate import evaluate as run

        evaluation = run(
            samples,
            prediction,
            truth,
            classes=names,
            iou=iou,
            across_classes=across_classes,
            key=key,
            scenarios=fields,
            progress=progress,
        )
    _show(terminal, evaluation)
    terminal.result({"dataset": dataset, **evaluation.to_dict()})


def _show(terminal: Terminal, evaluation: Any) -> None:
    """Print an ``Evaluation`` as a table with one row per class and one for all."""
    columns = ("label", "truth", "predictions", "precision", "recall", "ap", "ap50", "semantic_iou", "boundary_f")
    titles = ("class", "truth", "labels", "precision", "recall", "AP", "AP50", "semantic IoU", "boundary F")
    terminal.show(table(titles, [tuple(row[name] for name in columns) for row in evaluation.table()]))
    if evaluation.without_masks:
        terminal.say(f"matched by boxes, as there are no masks in {' and '.join(evaluation.without_masks)}")
    for reason in evaluation.left_out:
        terminal.say(reason)
    figures = {"calibration error": evaluation.calibration_error, "confidence ranking": evaluation.confidence_ranking}
    said = "".join(f"{name} {value:.3f}, " for name, value in figures.items() if value is not None)
    skipped = f"; {evaluation.skipped} lack the labels of one" if evaluation.skipped else ""
    keys = " and ".join(key for key in (evaluation.eval_key, evaluation.masks_key) if key)
    terminal.show(f"{said}{evaluation.samples} images in {keys}{skipped}")
