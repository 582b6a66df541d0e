"""``diffucurate img2img`` and ``diffucurate inpaint``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from diffucurate.generator.text.parsing import (
    parse_attributes,
    parse_classes,
    parse_names,
    parse_seeds,
    parse_sizes,
    parse_strength,
)
from diffucurate.plugin.cli.app import command, terminal_of
from diffucurate.plugin.cli.datasets import samples_of
from diffucurate.plugin.cli.options import (
    Attributes,
    BatchSize,
    Classes,
    Count,
    Device,
    Guidance,
    ImagesArgument,
    Json,
    Model,
    Prompt,
    Samples,
    SaveDatasetAs,
    Seeds,
    Size,
    Steps,
    Strength,
    View,
)
from diffucurate.plugin.cli.terminal import Terminal


@command(example="diffucurate img2img night-streets --view good --attributes time=dawn,dusk --save-as streets-by-day")
def img2img(
    context: typer.Context, dataset: ImagesArgument, view: View = None, samples: Samples = None,
    prompt: Prompt = None, attributes: Attributes = None, strength: Strength = None,
    carry: Annotated[
        str | None, typer.Option(metavar="NAME", help="A source or field whose instances to keep beside.")
    ] = None,
    classes: Classes = None, model: Model = None, size: Size = None, seeds: Seeds = None, steps: Steps = None,
    guidance: Guidance = None, count: Count = None, batch_size: BatchSize = None, device: Device = None,
    save_as: SaveDatasetAs = None, json: Json = False,
) -> None:  # fmt: skip
    """Paint variations of images: with other attributes, or by a prompt. Any images will do, photographs too."""
    terminal = terminal_of(context)
    content = content_of(strength, classes, attributes, model, size, seeds, steps, guidance)
    with terminal.progress("img2img") as progress:
        images = _images(dataset, view, samples)
        from diffucurate.plugin.generation.img2img_inpaint import img2img as run
        from diffucurate.plugin.store.samples import dataset_of

        before = ids_in(save_as or f"{dataset_of(images).name}-varied")
        painted = run(
            images,
            prompt=prompt or (),
            carry=carry,
            save_as=save_as,
            count=count,
            batch_size=batch_size,
            device=device,
            progress=progress,
            **content,
        )
    show_added(terminal, painted, before)


@command(example='diffucurate inpaint night-streets --field attention --prompt "a red bus" --classes bus')
def inpaint(
    context: typer.Context, dataset: ImagesArgument,
    field: Annotated[str, typer.Option(help="The label source or field whose objects are replaced.")],
    prompt: Annotated[list[str], typer.Option(help="What to show, the new object named (repeatable).")],
    view: View = None, samples: Samples = None,
    instances: Annotated[
        str, typer.Option(help="largest, each, or ids with commas between: which objects of an image.")
    ] = "largest",
    replace: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="car,bus: replace only objects of these labels (repeatable)."),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0, max=2, help="What to paint around, as a share of the object's side.")
    ] = None,
    shape: Annotated[
        str, typer.Option(metavar="free|keep", help="keep: the new object has the outline of the old one.")
    ] = "free",
    attributes: Attributes = None, strength: Strength = None, classes: Classes = None, model: Model = None,
    size: Size = None, seeds: Seeds = None, steps: Steps = None, guidance: Guidance = None, count: Count = None,
    batch_size: BatchSize = None, device: Device = None, save_as: SaveDatasetAs = None, json: Json = False,
) -> None:  # fmt: skip
    """Replace objects in images by what a prompt names; only the new object is labelled anew."""
    terminal = terminal_of(context)
    content = content_of(strength, classes, attributes, model, size, seeds, steps, guidance)
    if margin is not None:
        content["margin"] = margin
    which = instances if instances in ("largest", "each") else parse_names([instances], "instances") or []
    labels = parse_names(replace, "replace")
    with terminal.progress("inpaint") as progress:
        images = _images(dataset, view, samples)
        from diffucurate.plugin.generation.img2img_inpaint import inpaint as run
        from diffucurate.plugin.store.samples import dataset_of

        before = ids_in(save_as or f"{dataset_of(images).name}-inpainted")
        painted = run(
            images,
            field,
            prompt,
            instances=which,
            replace=labels,
            shape=shape,
            save_as=save_as,
            count=count,
            batch_size=batch_size,
            device=device,
            progress=progress,
            **content,
        )
    show_added(terminal, painted, before)


def content_of(
    strength: str | None, classes: Sequence[str] | None, attributes: Sequence[str] | None, model: str | None,
    size: str | None, seeds: str | None, steps: int | None, guidance: float | None,
) -> dict[str, Any]:  # fmt: skip
    """The options as keywords of the library, without those that were left out."""
    sizes = parse_sizes(size)
    content = {
        "strength": parse_strength(strength),
        "attributes": parse_attributes(attributes) or None,
        "classes": parse_classes(classes),
        "model": model,
        "size": (sizes[0] if len(sizes) == 1 else sizes) or None,
        "seeds": parse_seeds(seeds),
        "steps": steps,
        "guidance": guidance,
    }
    return {name: value for name, value in content.items() if value is not None}


def _images(dataset: str, view: str | None, samples: Sequence[str] | None) -> Any:
    """The images to start from; of a folder that is no dataset's name, those in it."""
    import fiftyone as fo

    if os.path.isdir(dataset) and not fo.dataset_exists(dataset):
        from diffucurate.plugin.generation.init_folder import dataset_of_folder

        dataset = dataset_of_folder(dataset).name
    return samples_of(dataset, view, samples)


def ids_in(name: str) -> set[str]:
    """The ids of the samples that a dataset holds; none where there is no such dataset."""
    import fiftyone as fo

    return set(fo.load_dataset(name).values("id")) if fo.dataset_exists(name) else set()


def show_added(terminal: Terminal, painted: Any, before: set[str]) -> None:
    """Say how many images a run added to a dataset that held the samples ``before``."""
    ids = painted.values("id")
    added = [sample_id for sample_id in ids if sample_id not in before]
    terminal.show(f"{painted.name}: {len(added)} images added, {len(ids)} in all")
    terminal.result({"dataset": painted.name, "added": len(added), "samples": added})
