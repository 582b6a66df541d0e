"""The command ``diffucurate``: arguments become calls of the library, results become text or JSON.

Knows nothing of how anything is done. FiftyOne and torch are imported inside the commands only, so that help
and a wrong recipe answer at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from diffucurate.generator.errors import DatasetError, DiffucurateError, RecipeError
from diffucurate.plugin.terminal import Terminal, table

if TYPE_CHECKING:
    import fiftyone as fo

DONE, USER_INPUT, OTHER = 0, 1, 2
TRACEBACK = "DIFFUCURATE_TRACEBACK"

_EPILOG = (
    "Exit codes: 0 done; 1 something in the input is wrong, the message says what; "
    "2 everything else, being stopped with Ctrl-C included."
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=_EPILOG)


class LabelSourceName(StrEnum):
    """The sources ``label`` can use."""

    attention = "attention"
    yolov8 = "yolov8"


class Format(StrEnum):
    """The formats ``export`` can write."""

    coco = "coco"
    yolo = "yolo"


DatasetArgument = Annotated[str, typer.Argument(metavar="DATASET", help="Name of a FiftyOne dataset.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, all else on stderr.")]


def _version(asked: bool) -> None:
    if asked:
        from diffucurate import __version__

        typer.echo(f"diffucurate {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _diffucurate(
    context: typer.Context,
    traceback: Annotated[
        bool, typer.Option("--traceback", help=f"Show where an unexpected error came from; so does {TRACEBACK}=1.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Show it.")] = False,
) -> None:
    """Labelled image datasets from diffusion models, curated in FiftyOne."""
    if traceback:
        os.environ[TRACEBACK] = "1"
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USER_INPUT)


@app.command()
def generate(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file, YAML or JSON.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Make at most so many of the recipe's images.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per batch; halved when memory runs out.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best one there is if left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Paint a recipe's images into its dataset; images that are there already are not made again."""
    terminal = _terminal(context)
    from diffucurate.generator.recipe import Recipe

    loaded = Recipe.load(recipe)
    with terminal.progress("generate") as progress:
        import fiftyone as fo

        from diffucurate.plugin.generate import generate as run

        before = len(fo.load_dataset(loaded.dataset)) if fo.dataset_exists(loaded.dataset) else 0
        dataset = run(loaded, limit=limit, batch_size=batch_size, device=device, progress=progress)
    added = len(dataset) - before
    terminal.show(f"{dataset.name}: {added} images added, {len(dataset)} in all")
    terminal.result({"dataset": dataset.name, "added": added, "samples": len(dataset)})


@app.command()
def label(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Annotated[LabelSourceName, typer.Option(help="What makes the labels.")],
    weights: Annotated[Path | None, typer.Option(help="YOLO weights; the built-in ones if left out.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Diffusion model for attention on images painted elsewhere.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="car,bus,... for attention on images painted elsewhere.")] = None,
    view: Annotated[str | None, typer.Option(help="A saved view, to label only its samples.")] = None,
    json: Json = False,
) -> None:
    """Label a dataset's images with one source; its earlier labels are replaced."""
    terminal = _terminal(context)
    names = None if classes is None else [name.strip() for name in classes.split(",")]
    if names is not None and not all(names):
        raise RecipeError("classes", classes, "give names with one comma between them, as in car,bus")
    with terminal.progress(f"label {source.value}") as progress:
        samples = _samples(dataset, view)
        from diffucurate.plugin.fields import instances
        from diffucurate.plugin.label import label as run

        run(
            samples,
            source=source.value,
            weights=str(weights) if weights else None,
            model=model,
            classes=names,
            progress=progress,
        )
    found = samples.count(f"{instances(source.value)}.detections")
    terminal.show(f"{dataset}: {found} instances found in {len(samples)} images by {source.value}")
    terminal.result({"dataset": dataset, "source": source.value, "samples": len(samples), "instances": found})


@app.command()
def compare(
    context: typer.Context,
    dataset: DatasetArgument,
    a: Annotated[str, typer.Argument(metavar="A", help="A label source, such as attention.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, the reference for average precision.")],
    json: Json = False,
) -> None:
    """Compare the labels of two sources, per class and per sample."""
    terminal = _terminal(context)
    with terminal.progress(f"compare {a} {b}") as progress:
        samples = _samples(dataset)
        from diffucurate.plugin.compare import compare as run

        comparison = run(samples, a, b, progress=progress)
    show_comparison(terminal, comparison)
    terminal.result({"dataset": dataset, **comparison.to_dict()})


def show_comparison(terminal: Terminal, comparison: Any) -> None:
    """Print a ``Comparison`` as a table with one row per class and one for all."""
    a, b = comparison.a, comparison.b
    columns = ("class", "matched", f"only {a}", f"only {b}", "mean IoU", "AP")
    terminal.show(table(columns, [tuple(row.values()) for row in comparison.table()]))
    skipped = f"; {comparison.skipped} lack the labels of one" if comparison.skipped else ""
    terminal.show(f"agreement {comparison.agreement:.3f} over {comparison.samples} images{skipped}")


@app.command()
def curate(
    context: typer.Context,
    dataset: DatasetArgument,
    source: Annotated[str, typer.Option(help="The label source to judge by.")],
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1, help="Keep instances at least so sure.")] = None,
    min_agreement: Annotated[
        float | None, typer.Option(min=0, max=1, help="Keep images with at least so much agreement.")
    ] = None,
    against: Annotated[str | None, typer.Option(help="The source that agreement is measured against.")] = None,
    view: Annotated[str | None, typer.Option(help="The view that is saved, and the tag; 'curated' by default.")] = None,
    json: Json = False,
) -> None:
    """Choose the samples that pass some rules, tag them and save them as a view."""
    terminal = _terminal(context)
    samples = _samples(dataset)
    from diffucurate.plugin.curate import curate as run

    kept = run(
        samples, source=source, min_confidence=min_confidence, min_agreement=min_agreement, against=against, view=view
    )
    terminal.show(f"{dataset}: {len(kept)} of {len(samples)} images kept, saved as view '{kept.name}'")
    terminal.result({"dataset": dataset, "view": kept.name, "kept": len(kept), "samples": len(samples)})


@app.command()
def export(
    context: typer.Context,
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    format: Annotated[Format, typer.Option(help="What to write.")],
    source: Annotated[str, typer.Option(help="The label source whose labels are written.")],
    view: Annotated[str | None, typer.Option(help="A saved view, to write only its samples.")] = None,
    splits: Annotated[str | None, typer.Option(help="Shares of the images, as in train=0.8,val=0.2.")] = None,
    json: Json = False,
) -> None:
    """Write images and one source's labels as a COCO or YOLO dataset."""
    terminal = _terminal(context)
    parts = None if splits is None else parse_splits(splits)
    with terminal.progress(f"export {format.value}") as progress:
        samples = _samples(dataset, view)
        from diffucurate.plugin.export import export as run

        summary = run(samples, out, format=format.value, source=source, splits=parts, progress=progress)
    counts = ", ".join(f"{name} {images} images" for name, images in summary.images.items())
    terminal.show(f"{dataset}: {sum(summary.instances.values())} instances written to {summary.folder} ({counts})")
    terminal.result({"dataset": dataset, "view": view, **summary.to_dict()})


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The folder for the exports; earlier ones are replaced.")] = Path("demo"),
    serve: Annotated[
        bool, typer.Option("--app/--no-app", envvar="APP", help="Serve the App until Ctrl-C, in a terminal only.")
    ] = True,
    json: Json = False,
) -> None:
    """Go the whole way once, from a recipe to a curated and exported dataset, with the built-in model."""
    terminal = _terminal(context)
    from diffucurate.plugin.demo import run_demo

    run_demo(terminal, out, serve=serve and terminal.interactive)


@app.command()
def doctor(
    context: typer.Context,
    missing_database_package: Annotated[
        bool, typer.Option(help="Only print the package that brings FiftyOne's missing database server, if it is.")
    ] = False,
    json: Json = False,
) -> None:
    """Check database, devices, versions, weights and plugin, with a remedy for each thing that is wrong."""
    terminal = _terminal(context)
    if missing_database_package:
        from diffucurate.plugin.database import missing_package

        package = missing_package()
        if package:
            terminal.show(package)
        terminal.result({"missing_database_package": package})
        return
    from diffucurate.plugin.doctor import checks

    found = []
    for check in checks():
        found.append(check)
        terminal.show(f"{check.state:<4}  {check.name}: {check.detail}")
        if check.remedy:
            terminal.show(f"      -> {check.remedy}")
    healthy = all(check.state != "fail" for check in found)
    terminal.result({"ok": healthy, "checks": [check._asdict() for check in found]})
    if not healthy:
        raise typer.Exit(OTHER)


def _terminal(context: typer.Context) -> Terminal:
    """The command's terminal; from here on only its result reaches stdout."""
    terminal: Terminal = context.obj
    terminal.claim_stdout()
    return terminal


def parse_splits(text: str) -> dict[str, float]:
    """``train=0.8,val=0.2`` as a mapping; which names and shares make sense is the exporter's to say.

    Raises:
        RecipeError: the text is not of this form, or a name comes twice.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (piece.strip() for piece in part.partition("="))
        try:
            value = float(share)
        except ValueError:
            raise RecipeError("splits", text, "give names and shares, as in train=0.8,val=0.2") from None
        if not name or name in shares:
            raise RecipeError("splits", text, "give each share one name of its own, as in train=0.8,val=0.2")
        shares[name] = value
    return shares


def _samples(name: str, view: str | None = None) -> fo.Dataset | fo.DatasetView:
    import fiftyone as fo

    if not fo.dataset_exists(name):
        known = fo.list_datasets()
        there = (
            f"there are {', '.join(known[:20])}"
            if known
            else "there are none yet; make one with 'diffucurate generate'"
        )
        raise DatasetError(f"dataset '{name}' does not exist; {there}")
    dataset = fo.load_dataset(name)
    if view is None:
        return dataset
    if not dataset.has_saved_view(view):
        known = dataset.list_saved_views()
        there = f"there are {', '.join(known)}" if known else "it has none; make one with 'diffucurate curate'"
        raise DatasetError(f"dataset '{name}' has no saved view '{view}'; {there}")
    return dataset.load_saved_view(view)


def _error_document(error: BaseException, message: str) -> dict[str, Any]:
    document: dict[str, Any] = {"type": type(error).__name__, "message": message}
    if isinstance(error, RecipeError):
        document |= {"field": error.field, "value": error.value, "remedy": error.remedy}
    return {"error": document}


def _report(terminal: Terminal, error: BaseException) -> int:
    """Tell what went wrong, in one line, and return the exit code."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        message, code = "stopped; what was made is kept, and the same command goes on from there", OTHER
    elif isinstance(error, DiffucurateError):
        message, code = str(error), USER_INPUT
    elif hasattr(error, "format_message"):
        # A usage error of typer's own, whichever version's class it is.
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "diffucurate"
        text = " ".join(error.format_message().split()).rstrip(".")
        message, code = f"{text}; see '{path} --help'", USER_INPUT
    else:
        text = " ".join(str(error).split()) or "no message"
        hint = f"'diffucurate doctor' may say why, 'diffucurate --traceback ...' or {TRACEBACK}=1 shows where"
        message, code = f"unexpected {type(error).__name__}: {text}; {hint}", OTHER
    if code == OTHER and os.environ.get(TRACEBACK, "") not in ("", "0"):
        terminal.say("".join(traceback.format_exception(error)).rstrip())
    terminal.say(f"diffucurate: {message}")
    terminal.result(_error_document(error, message))
    return code


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    # The commands draw bars of their own, in one style.
    os.environ.setdefault("FIFTYONE_SHOW_PROGRESS_BARS", "false")
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    with Terminal(as_json="--json" in options) as terminal:
        try:
            command = typer.main.get_command(app)
            code = command.main(list(arguments), prog_name="diffucurate", standalone_mode=False, obj=terminal)
        except (Exception, KeyboardInterrupt) as error:
            return _report(terminal, error)
        if code == 130:
            # What recent versions of typer make of Ctrl-C.
            return _report(terminal, KeyboardInterrupt())
        return code if isinstance(code, int) else DONE


def main() -> NoReturn:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
