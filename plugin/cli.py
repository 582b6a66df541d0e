"""The command ``diffucurate``: arguments become calls of the library, results become text or JSON.

Knows nothing of how anything is done. FiftyOne and torch are imported inside the commands only, so that help
and a wrong recipe answer at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from diffucurate.generator.errors import DatasetError, DiffucurateError, RecipeError
from diffucurate.generator.exports.splits import parse_splits
from diffucurate.plugin.terminal import Terminal, table

if TYPE_CHECKING:
    import fiftyone as fo

    from diffucurate.generator.labels.settings import Settings

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
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="attention: heat a pixel needs, compared with the hottest one.")
    ] = None,
    min_area: Annotated[
        float | None, typer.Option(min=0, max=1, help="attention: smallest object, as a share of the image.")
    ] = None,
    min_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="attention: smallest object, as a share of its class's largest.")
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Instances that are less certain are left out.")
    ] = None,
    max_overlap: Annotated[
        float | None, typer.Option(min=0, max=1, help="yolov8: of two instances that overlap more one is left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Label a dataset's images with one source; its earlier labels are replaced."""
    terminal = _terminal(context)
    names = _names(classes)
    options = {"min_area": min_area, "min_share": min_share, "min_confidence": min_confidence}
    settings = _settings(source.value, {"threshold": threshold, **options, "max_overlap": max_overlap})
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
            settings=settings,
            progress=progress,
        )
    found = samples.count(f"{instances(source.value)}.detections")
    terminal.show(f"{dataset}: {found} instances found in {len(samples)} images by {source.value}")
    terminal.result({"dataset": dataset, "source": source.value, "samples": len(samples), "instances": found})


@app.command()
def compare(
    context: typer.Context,
    dataset: DatasetArgument,
    a: Annotated[str, typer.Argument(metavar="A", help="A source such as attention, or a field such as ground_truth.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, the reference for average precision.")],
    json: Json = False,
) -> None:
    """Compare the labels of two sources, or of any two fields with instances, per class and per sample."""
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
    if comparison.without_masks:
        terminal.say(f"matched by boxes, as there are no masks in {' and '.join(comparison.without_masks)}")
    skipped = f"; {comparison.skipped} lack the labels of one" if comparison.skipped else ""
    terminal.show(f"agreement {comparison.agreement:.3f} over {comparison.samples} images{skipped}")


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
    terminal = _terminal(context)
    scores = dict(_limits(text) for text in score or ())
    names = _names(classes)
    with terminal.progress("curate") as progress:
        samples = _samples(dataset)
        from diffucurate.plugin.curate import curate as run
        from diffucurate.plugin.curate import curations

        kept = run(
            samples, source=source, min_confidence=min_confidence, min_agreement=min_agreement, against=against,
            classes=names, min_area=min_area, max_area=max_area, scores=scores, max_per_class=max_per_class,
            exact_duplicates=exact_duplicates, near_duplicates=near_duplicates or False, embeddings=embeddings,
            view=view, progress=progress,
        )  # fmt: skip
    made = next(curation for curation in curations(kept._dataset) if curation.name == kept.name)
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
    terminal = _terminal(context)
    samples = _samples(dataset)
    from diffucurate.plugin.curate import undo_curation as run

    undone = run(samples, name)
    terminal.show(f"{dataset}: curation '{name}' is undone, its saved view {undone.view}")
    terminal.result({"dataset": dataset, **asdict(undone)})


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
        from diffucurate.plugin.export_size import estimate_size, in_units

        size = estimate_size(samples, out, format=format.value, source=source)
        terminal.say(f"about {in_units(size.total_bytes)}; {in_units(size.free_bytes)} are free there")
        summary = run(samples, out, format=format.value, source=source, splits=parts, progress=progress)
    counts = ", ".join(f"{name} {images} images" for name, images in summary.images.items())
    terminal.show(f"{dataset}: {sum(summary.instances.values())} instances written to {summary.folder} ({counts})")
    terminal.show(summary.first_step())
    terminal.result({"dataset": dataset, "view": view, **summary.to_dict()})


@app.command()
def provenance(
    context: typer.Context,
    dataset: DatasetArgument,
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="The id of a painted sample.")],
    repaint: Annotated[bool, typer.Option("--repaint", help="Paint it again too, and say how it came out.")] = False,
    json: Json = False,
) -> None:
    """Tell what made an image: its prompt, seed, model and run."""
    terminal = _terminal(context)
    with terminal.progress("provenance") as progress:
        chosen = _chosen(_samples(dataset), [sample]).first()
        from diffucurate.plugin.describe import of_image, of_run
        from diffucurate.plugin.provenance import provenance as run
        from diffucurate.plugin.repaint import repaint as paint_again

        made = run(chosen)
        again = paint_again(chosen, progress=progress)[0] if repaint else None
    lines = {**of_image(made), **of_run(made)}
    width = max(map(len, lines))
    for label, text in lines.items():
        terminal.show(f"{label:<{width}}  {text}")
    if made.warning:
        terminal.show(made.warning)
    document = made.to_dict()
    if again is not None:
        terminal.show(again.verdict)
        document["repainted"] = {"identical": again.identical, "restored": again.restored, "verdict": again.verdict}
    terminal.result(document)


@app.command()
def regenerate(
    context: typer.Context,
    dataset: DatasetArgument,
    sample: Annotated[list[str] | None, typer.Option(help="The id of a sample to vary (repeatable).")] = None,
    view: Annotated[str | None, typer.Option(help="A saved view, to vary its samples.")] = None,
    new_seeds: Annotated[int | None, typer.Option(min=1, help="How many new seeds for each.")] = None,
    seeds: Annotated[str | None, typer.Option(help="The seeds themselves, as in 3,7.")] = None,
    change: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE[,VALUE...] of an attribute, as in time=night (repeatable).")
    ] = None,
    json: Json = False,
) -> None:
    """Paint images again with other seeds or attributes, and add what comes out."""
    terminal = _terminal(context)
    if (sample is None) == (view is None):
        raise RecipeError("samples", None, "say which images: either --sample or --view")
    if new_seeds is not None and seeds is not None:
        raise RecipeError("seeds", seeds, "give either --seeds or --new-seeds")
    listed: Any = None if seeds is None else [int(n) if n.strip().isdecimal() else n for n in seeds.split(",")]
    changes = dict(_change(text) for text in change or ())
    with terminal.progress("regenerate") as progress:
        samples = _samples(dataset, view)
        chosen = samples if sample is None else _chosen(samples, sample)
        before = set(samples._dataset.values("id"))
        from diffucurate.plugin.regenerate import regenerate as run

        made = run(chosen, seeds=new_seeds or listed, attributes=changes, progress=progress)
    added = [one for one in made.values("id") if one not in before]
    terminal.show(f"{dataset}: {len(added)} images added, {len(before) + len(added)} in all")
    terminal.result({"dataset": dataset, "added": len(added), "samples": added})


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


def _names(text: str | None) -> list[str] | None:
    """``car,bus`` as a list."""
    names = None if text is None else [name.strip() for name in text.split(",")]
    if names is not None and not all(names):
        raise RecipeError("classes", text, "give names with one comma between them, as in car,bus")
    return names


def _settings(source: str, options: Mapping[str, float | None]) -> Settings | None:
    """The settings of a label source from the options that were given; None where none was."""
    from diffucurate.generator.labels.settings import SETTINGS, settings_of

    fields = {"floor" if name == "threshold" else name: value for name, value in options.items() if value is not None}
    for name, value in fields.items():
        if name not in SETTINGS[source].model_fields:
            option = "threshold" if name == "floor" else name
            raise RecipeError(option, value, f"source '{source}' has no such setting; leave it out")
    return settings_of(source, fields) if fields else None


def _limits(text: str) -> tuple[str, tuple[float | None, float | None]]:
    """``uniqueness=0.2:0.9`` as a field and its limits, either of which may be left out."""
    name, _, span = (piece.strip() for piece in text.partition("="))
    ends = [end.strip() for end in span.split(":")]
    try:
        if not name or len(ends) != 2:
            raise ValueError
        low, high = (float(end) if end else None for end in ends)
    except ValueError:
        raise RecipeError("score", text, "give a field and its limits, as in uniqueness=0.2: or seed=1:9") from None
    return name, (low, high)


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


def _chosen(samples: fo.Dataset | fo.DatasetView, ids: Sequence[str]) -> fo.DatasetView:
    known = set(samples.values("id"))
    for one in ids:
        if one not in known:
            raise DatasetError(f"there is no sample '{one}'; the App shows a sample's id, and so does values('id')")
    return samples.select(list(ids), ordered=True)


def _change(text: str) -> tuple[str, list[str]]:
    name, equals, values = text.partition("=")
    if not equals:
        raise RecipeError("change", text, "give an attribute and its values, as in time=night,dusk")
    return name.strip(), [value.strip() for value in values.split(",")]


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
