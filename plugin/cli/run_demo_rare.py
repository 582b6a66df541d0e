"""A class that the built-in models were not trained on, learned, painted, and taught to a detector: the piano.

Fifty images of "a piano on a road" before the word ``<piano>`` is known and fifty after, all labelled twice: by
attention, and by a segmenter that knows pianos and is taken for the truth. Then painted pianos teach the built-in
detector, which has never seen one (``retrain_rare``). Run again, it goes on where it stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import fiftyone as fo
import numpy as np
from fiftyone import ViewField as F

from diffucurate.generator.models.built_in import rare_yolo_path
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.tiny.rare import (
    EXAMPLES,
    FIRST_SEED,
    PLACEHOLDER,
    SETTINGS,
    learned_piano,
    rare_caption,
)
from diffucurate.plugin.cli.demo_dataset import fresh_dataset
from diffucurate.plugin.cli.retrain_rare import retrain_on_pianos
from diffucurate.plugin.cli.run_demo import serve_app
from diffucurate.plugin.cli.terminal import Terminal
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.media_files import write_png
from diffucurate.plugin.store.media_folder import media_folder

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

DATASET, EXAMPLES_DATASET = "diffucurate-demo-rare", "diffucurate-demo-pianos"
ATTENTION, SEGMENTER = "attention", "yolov8"
IMAGES = 50


class PianoCount(NamedTuple):
    """Of ``images``, in how many the segmenter finds a piano, and the mean over these of the IoU of attention's
    pixels with the segmenter's; None where there are none."""

    images: int
    pianos: int
    mean_iou: float | None

    @property
    def share(self) -> float:
        return self.pianos / self.images


def run_demo_rare(
    terminal: Terminal, *, serve: bool, train: bool = False, retrain: bool = True, count: int = IMAGES
) -> None:
    """Paint before and after, label, measure and print the result; with ``serve``, serve the App until Ctrl-C.

    Args:
        terminal: where progress and results are shown.
        serve: whether to start the App at the end and wait.
        train: learn the word anew from rendered pianos, instead of taking the one that comes with the package.
        retrain: whether to teach the detector what was painted, and test it on renders.
        count: how many images before, and how many after.
    """
    from diffucurate.plugin.generation.generate import generate
    from diffucurate.plugin.labelling.label import label

    parts = learned_piano().recipe_parts()
    if train:
        with terminal.progress("train-token") as progress:
            parts = learn_piano_word(progress)
    recipes = {
        "piano": rare_recipe("piano", count),
        PLACEHOLDER: rare_recipe(PLACEHOLDER, count, **parts),
    }
    for word, recipe in recipes.items():
        with terminal.progress(f"generate a {word}") as progress:
            dataset = generate(recipe, progress=progress)
    with terminal.progress(f"label {SEGMENTER}") as progress:
        label(dataset, source=SEGMENTER, weights=rare_yolo_path(), progress=progress)
    counts = {word: count_pianos(dataset, prompt_of(word)) for word in recipes}

    for word, result in counts.items():
        terminal.show(f"'{prompt_of(word)}': the segmenter finds a piano in {result.pianos} of {result.images} images")
    after = counts[PLACEHOLDER].mean_iou
    if after is not None:
        terminal.show(f"Attention's pixels of '{PLACEHOLDER}' and the segmenter's have a mean IoU of {after:.2f}.")
    scores = retrain_on_pianos(terminal, parts) if retrain else {}
    terminal.result(
        {
            "dataset": dataset.name,
            "recipe": parts,
            **({"detector": {name: score._asdict() for name, score in scores.items()}} if retrain else {}),
            **{
                name: {**counts[word]._asdict(), "share": counts[word].share}
                for name, word in (("before", "piano"), ("after", PLACEHOLDER))
            },
        }
    )
    if serve:
        serve_app(terminal, dataset)
    else:
        terminal.show(f"Look at it with: fiftyone app launch {dataset.name}")


def prompt_of(word: str) -> str:
    return f"a {word} on a road"


def rare_recipe(word: str, images: int, **parts: Any) -> Recipe:
    """Images of one word on a road, each with a seed of its own."""
    return Recipe(
        dataset=DATASET,
        model="tiny",
        size=(128, 128),
        steps=20,
        seeds=images,
        classes={"piano": [word]},
        templates=[prompt_of(word)],
        **parts,
    )


def learn_piano_word(progress: Listener | None = None, **changes: Any) -> dict[str, Any]:
    """Learn the word from rendered pianos in a dataset of their own, with ``SETTINGS`` but for ``changes``.

    Returns:
        What a recipe says to use it.
    """
    from diffucurate.plugin.tokens.train import train_token

    learned = train_token(
        rendered_pianos(),
        PLACEHOLDER,
        caption_field="caption",
        name="demo-piano",
        model="tiny",
        overwrite=True,
        progress=progress,
        **{**SETTINGS, **changes},
    )
    return learned.recipe_parts()


def rendered_pianos(count: int = EXAMPLES) -> fo.Dataset:
    """A dataset of rendered pianos, each with a ``caption`` in which ``{}`` stands for the word; an earlier one goes.

    Raises:
        DatasetError: a dataset of that name holds images of somebody's own.
    """
    from diffucurate.generator.tiny.scenes import render_scene

    dataset = fresh_dataset(EXAMPLES_DATASET)
    folder, samples = media_folder(dataset), []
    for index in range(count):
        scene = render_scene(FIRST_SEED + index, labels=["piano"])
        path = write_png(folder / "images" / f"piano-{index:02d}.png", scene.image)
        samples.append(fo.Sample(filepath=str(path), caption=rare_caption(scene.caption)))
    dataset.add_samples(samples, progress=False)
    return dataset


def count_pianos(dataset: fo.Dataset, prompt: str) -> PianoCount:
    """How many images of one prompt show a piano, and how far the two label sources agree on it."""
    view = dataset.match(F(field_names.PROMPT) == prompt)
    pianos, ious = 0, []
    for sample in view.select_fields([field_names.mask(ATTENTION), field_names.mask(SEGMENTER)]):
        seen, truth = (_pixels(sample[field_names.mask(source)]) for source in (ATTENTION, SEGMENTER))
        if truth.any():
            pianos += 1
            ious.append(np.count_nonzero(seen & truth) / np.count_nonzero(seen | truth))
    return PianoCount(len(view), pianos, float(np.mean(ious)) if ious else None)


def _pixels(mask: fo.Segmentation) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(H, W) bool: the pixels of the dataset's one class."""
    pixels: np.ndarray[Any, np.dtype[np.bool_]] = np.asarray(mask.get_mask()) == 1
    return pixels
