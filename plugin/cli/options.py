"""The arguments and options of all commands that take them: one spelling and one help text for each meaning.

A list is one option with commas, which may also be given several times. Options are called as the Python keyword that
they become.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from diffucurate.plugin.cluster.engine import RayEngine

# -- What comes in

DatasetArgument = Annotated[str, typer.Argument(metavar="DATASET", help="Name of a FiftyOne dataset.")]
ImagesArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="Name of a FiftyOne dataset, or a folder of images.")
]
View = Annotated[
    str | None, typer.Option(metavar="NAME", help="A saved view of the dataset, to take only its samples.")
]
Samples = Annotated[
    list[str] | None, typer.Option(metavar="ID,...", help="The ids of samples, to take only these (repeatable).")
]
Source = Annotated[
    str, typer.Option(metavar="NAME", help="A label source such as attention, or a field of detections.")
]
ClassNames = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME,...", help="Only these classes: car,bus; all if left out (repeatable)."),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,...|NAME=PHRASE,...",
        help="Classes: car,bus or, with the phrases that mean one, bus=bus,coach; those known already if left out "
        "(repeatable).",
    ),
]

# -- What is to be painted

Prompt = Annotated[list[str] | None, typer.Option(help="What to show; may have {attributes} (repeatable).")]
Attributes = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE,...", help="Values of an attribute to paint, as in time=night,dusk (repeatable)."),
]
Captions = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="A text file, a JSON list or COCO's captions JSON, instead of the recipe's prompts."
    ),
]
CaptionInstances = Annotated[
    str | None,
    typer.Option(
        "--instances", metavar="FILE", help="COCO's instances JSON of the same images, which says what each shows."
    ),
]
Strength = Annotated[
    str | None, typer.Option(help="How far to go, above 0 and at most 1; of several, as in 0.4,0.8, one is drawn.")
]
Size = Annotated[
    str | None, typer.Option(metavar="WxH", help="In pixels, as in 512x512; that of each image if left out.")
]
Seeds = Annotated[
    str | None, typer.Option(metavar="N|SEED,...", help="How many seeds for each prompt, or which: 3,7 or, for one, 3,")
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, help="Steps of the whole schedule, of which STRENGTH are taken; the model's own if left out."),
]
Guidance = Annotated[
    float | None, typer.Option(min=0, help="Classifier-free guidance scale; the model's own if left out.")
]

# -- How it is done

Model = Annotated[
    str | None,
    typer.Option(help="A diffusion model: a hub id, a folder or a file; the recipe's or the built-in one if left out."),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best one there is if left out.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1, help="How many at once; what fits the device if left out. Painting halves it when memory runs out."
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(metavar="auto|low|off", help="Weights on the card: as they fit, few, or all."),
]
Ray = Annotated[
    bool, typer.Option("--ray", help="Work in actors on a Ray cluster; needs pip install 'diffucurate[ray]'.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Of the Ray cluster: auto, host:6379 or ray://host:10001; local starts one here. "
        "What DIFFUCURATE_RAY_ADDRESS says if left out, else local.",
    ),
]
Actors = Annotated[
    int | None,
    typer.Option(min=1, help="Ray actors, each with a model; one for each GPU of the cluster if left out, or one."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Of all that is drawn by chance; 0 if left out.")]
Iou = Annotated[float, typer.Option(help="Least IoU of two instances that match, above 0 and at most 1.")]

# -- What goes out

Count = Annotated[int | None, typer.Option(min=1, help="Make at most so many images.")]
SaveViewAs = Annotated[
    str | None,
    typer.Option("--save-as", metavar="NAME", help="The name of the saved view and of the tag; 'curated' if left out."),
]
SaveDatasetAs = Annotated[
    str | None,
    typer.Option(
        "--save-as", metavar="NAME", help="The dataset to add to; DATASET-varied, -inpainted or -by-mask if left out."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier call left under that name.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, all else on stderr.")]
Serve = Annotated[
    bool, typer.Option("--app/--no-app", envvar="APP", help="Serve the App until Ctrl-C, in a terminal only.")
]


def engine_of(ray: bool, address: str | None, actors: int | None) -> RayEngine | None:
    """What ``--ray`` and what goes with it say: None for this process."""
    from diffucurate.plugin.cluster.engine import RayEngine

    return RayEngine(address, actors) if ray or address is not None or actors is not None else None
