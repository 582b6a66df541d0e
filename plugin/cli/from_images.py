"""``diffucurate img2img`` and ``diffucurate inpaint``."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from diffucurate.generator.errors import InvalidSetting
from diffucurate.plugin.cli.app import Json, app, names_in, terminal_of, values_in
from diffucurate.plugin.cli.datasets import chosen, samples_of
from diffucurate.plugin.cli.terminal import Terminal

Images = Annotated[str, typer.Argument(metavar="DATASET", help="Name of a FiftyOne dataset, or a folder of images.")]
To = Annotated[str | None, typer.Option(help="The dataset to add to; DATASET-varied or -inpainted if left out.")]
View = Annotated[str | None, typer.Option(help="A saved view, to start only from its images.")]
Sample = Annotated[list[str] | None, typer.Option(help="The id of an image to start from (repeatable).")]
Prompt = Annotated[list[str] | None, typer.Option(help="What to show; may have {attributes} (repeatable).")]
Change = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE[,VALUE...] of an attribute, as in time=night (repeatable).")
]
Class = Annotated[
    list[str] | None,
    typer.Option("--class", help="A class to label, NAME or NAME=PHRASE[,PHRASE...]; known ones if left out."),
]
Strength = Annotated[str | None, typer.Option(help="How far to go, from 0 to 1; several, as in 0.4,0.8, are drawn.")]
Model = Annotated[str | None, typer.Option(help="The diffusion model; the built-in one if left out.")]
Size = Annotated[str | None, typer.Option(help="As in 512x512; that of each image if left out.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="How many seeds for each prompt.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Steps of the whole schedule, of which STRENGTH are taken.")]
Guidance = Annotated[float | None, typer.Option(min=0, help="Classifier-free guidance scale.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Make at most so many images.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Images per batch; halved when memory runs out.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best one there is if left out.")]


@app.command()
def img2img(
    context: typer.Context, dataset: Images, change: Change = None, prompt: Prompt = None,
    strength: Strength = None,
    carry: Annotated[str | None, typer.Option(help="A source or field whose instances to keep beside.")] = None,
    class_: Class = None, to: To = None, view: View = None, sample: Sample = None, model: Model = None,
    size: Size = None, seeds: Seeds = None, steps: Steps = None, guidance: Guidance = None, limit: Limit = None,
    batch_size: Batch = None, device: Device = None, json: Json = False,
) -> None:  # fmt: skip
    """Paint variations of images: with other attributes, or by a prompt. Any images will do, photographs too."""
    terminal = terminal_of(context)
    content = _content(strength, class_, change, model, size, seeds, steps, guidance)
    with terminal.progress("img2img") as progress:
        samples = _samples(dataset, view, sample)
        from diffucurate.plugin.generation.img2img_inpaint import img2img as run
        from diffucurate.plugin.store.samples import dataset_of

        before = _held(to or f"{dataset_of(samples).name}-varied")
        made = run(
            samples,
            prompt=prompt or (),
            carry=carry,
            save_as=to,
            count=limit,
            batch_size=batch_size,
            device=device,
            progress=progress,
            **content,
        )
    _show(terminal, made, before)


@app.command()
def inpaint(
    context: typer.Context, dataset: Images,
    field: Annotated[str, typer.Option(help="The label source or field whose objects are replaced.")],
    prompt: Annotated[list[str], typer.Option(help="What to show, the new object named (repeatable).")],
    instances: Annotated[
        str, typer.Option(help="largest, each, or ids with commas between: which objects of an image.")
    ] = "largest",
    replace: Annotated[str | None, typer.Option(help="car,bus,... to replace only objects of these labels.")] = None,
    margin: Annotated[
        float | None, typer.Option(min=0, max=2, help="What to paint around, as a share of the object's side.")
    ] = None,
    change: Change = None, strength: Strength = None, class_: Class = None, to: To = None, view: View = None,
    sample: Sample = None, model: Model = None, size: Size = None, seeds: Seeds = None, steps: Steps = None,
    guidance: Guidance = None, limit: Limit = None, batch_size: Batch = None, device: Device = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Replace objects in images by what a prompt names; only the new object is labelled anew."""
    terminal = terminal_of(context)
    content = _content(strength, class_, change, model, size, seeds, steps, guidance)
    if margin is not None:
        content["margin"] = margin
    which = instances if instances in ("largest", "each") else names_in(instances) or []
    labels = names_in(replace)
    with terminal.progress("inpaint") as progress:
        samples = _samples(dataset, view, sample)
        from diffucurate.plugin.generation.img2img_inpaint import inpaint as run
        from diffucurate.plugin.store.samples import dataset_of

        before = _held(to or f"{dataset_of(samples).name}-inpainted")
        made = run(
            samples,
            field,
            prompt,
            instances=which,
            replace=labels,
            save_as=to,
            count=limit,
            batch_size=batch_size,
            device=device,
            progress=progress,
            **content,
        )
    _show(terminal, made, before)


def _content(
    strength: str | None, classes: list[str] | None, change: list[str] | None, model: str | None, size: str | None,
    seeds: int | None, steps: int | None, guidance: float | None,
) -> dict[str, Any]:  # fmt: skip
    """The options that were given, as the library takes them."""
    found = {
        "strength": _strengths(strength),
        "attributes": dict(values_in(text) for text in change or ()) or None,
        "classes": dict(_class(text) for text in classes or ()) or None,
        "model": model,
        "size": _size(size),
        "seeds": seeds,
        "steps": steps,
        "guidance": guidance,
    }
    return {name: value for name, value in found.items() if value is not None}


def _samples(dataset: str, view: str | None, sample: list[str] | None) -> Any:
    import fiftyone as fo

    if os.path.isdir(dataset) and not fo.dataset_exists(dataset):
        from diffucurate.plugin.generation.init_folder import dataset_of_folder

        dataset = dataset_of_folder(dataset).name
    samples = samples_of(dataset, view)
    return chosen(samples, sample) if sample else samples


def _strengths(text: str | None) -> float | list[float] | None:
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidSetting("strength", text, "give numbers above 0 and at most 1, as in 0.4,0.8") from None
    return values[0] if len(values) == 1 else values


def _size(text: str | None) -> list[int] | None:
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.strip().isdecimal() for side in sides):
        raise InvalidSetting("size", text, "give width and height in pixels, as in 512x512")
    return [int(side) for side in sides]


def _class(text: str) -> tuple[str, list[str]]:
    return values_in(text) if "=" in text else (text.strip(), [text.strip()])


def _held(name: str) -> set[str]:
    """The samples that a dataset holds already."""
    import fiftyone as fo

    return set(fo.load_dataset(name).values("id")) if fo.dataset_exists(name) else set()


def _show(terminal: Terminal, made: Any, before: set[str]) -> None:
    ids = made.values("id")
    added = [one for one in ids if one not in before]
    terminal.show(f"{made.name}: {len(added)} images added, {len(ids)} in all")
    terminal.result({"dataset": made.name, "added": len(added), "samples": added})
