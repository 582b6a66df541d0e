"""A preview of labels on one sample as part of a form: the image, its labels now, and those at the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError
from diffucurate.generator.labels.settings import SourceSettings
from diffucurate.generator.sources.registry import source_of_maps
from diffucurate.generator.text.counted import counted

if TYPE_CHECKING:
    import fiftyone as fo

#: Pixels of the longer side of each image of a preview: sharp enough, and light for a form drawn again and again.
_PREVIEW_SIDE = 512

#: Pixels that a form gives its widest field.
_FORM_WIDTH = 680


def preview_sample(ctx: ExecutionContext, samples: fo.Dataset | fo.DatasetView) -> fo.Sample | None:
    """The sample a person points at, by selecting or opening it, else the first that keeps its heatmaps."""
    from diffucurate.plugin.labelling.preview import first_with_maps

    pointed = [*ctx.selected, *([ctx.current_sample] if ctx.current_sample else [])]
    chosen = ctx.dataset.select(pointed[:1])
    return chosen.first() if pointed and len(chosen) else first_with_maps(samples)


def show_preview(
    inputs: types.Object, sample: fo.Sample | None, settings: SourceSettings, classes: list[str] | None
) -> None:
    """The sample's image, its labels now and those at the settings, side by side, or why there is nothing to show."""
    # What draws needs OpenCV, so it is imported where a preview is asked for; it loads no model.
    from diffucurate.plugin.labelling.preview import data_uri, preview

    if sample is None:
        name = source_of_maps().name
        _say(inputs, f"None of these images keeps its heatmaps; label them with {name} first, then preview.")
        return
    try:
        shown = preview(sample, settings, classes)
    except DiffucurateError as error:
        _say(inputs, f"{error}.")
        return
    images = {"image": ("The image", shown.image)}
    if shown.now is not None and shown.current is not None:
        images["now"] = (f"Now: {objects(len(shown.current.instances))}", shown.now)
    images["then"] = (f"With these settings: {objects(len(shown.labels.instances))}", shown.then)
    row = inputs.h_stack("preview", gap=2, align_y="start")
    for name, (label, pixels) in images.items():
        view = types.ImageView(width=f"{_FORM_WIDTH // len(images) - 16}px")
        row.str(name, label=label, default=data_uri(pixels, _PREVIEW_SIDE), view=view)


def objects(count: int) -> str:
    """``1 object``, ``2 objects``."""
    return counted(count, "object")


def _say(inputs: types.Object, sentence: str) -> None:
    inputs.view("no_preview", types.Notice(label=sentence))
