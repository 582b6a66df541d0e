"""What the forms around labelling share: the settings of a source as fields, and a preview of them on one sample.

Fields are named ``<source>_<setting>``; their words, ranges and defaults come from ``generator.labels.settings``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError, InvalidSetting
from diffucurate.generator.labels.settings import SETTINGS, Settings, settings_of
from diffucurate.generator.validation import limits
from diffucurate.operators.forms.fields import param, refuse

if TYPE_CHECKING:
    import fiftyone as fo

#: How sources are called in front of people.
NAMES = {"attention": "Attention", "yolov8": "YOLOv8"}

#: Settings that make sense over their whole range; those of sizes matter near 0 only and are typed in.
_SLIDERS = ("floor", "min_confidence", "max_overlap")

#: Pixels of the longer side of each picture of a preview: sharp enough, and light for a form drawn again and again.
_PREVIEW_SIDE = 512

#: Pixels that a form gives its widest field.
_FORM_WIDTH = 680


def settings_params(source: str, settings: Settings) -> dict[str, float]:
    """The parameters of a form that is filled in with what ``settings`` name; the rest is left to its default."""
    return {f"{source}_{name}": value for name, value in settings.model_dump(exclude_unset=True).items()}


def given_settings(ctx: ExecutionContext, source: str) -> Settings:
    """The settings of a source as filled in, each its default where it was not.

    Raises:
        InvalidSetting: a number outside its range; the field is called ``settings.<name>``.
    """
    values = {name: param(ctx, f"{source}_{name}") for name in SETTINGS[source].model_fields}
    return settings_of(source, {name: value for name, value in values.items() if value is not None})


def settings_problem(ctx: ExecutionContext, source: str) -> tuple[str, str] | None:
    """(parameter, sentence) of what is wrong with the settings as filled in, None where nothing is."""
    try:
        given_settings(ctx, source)
    except InvalidSetting as error:
        return f"{source}_{error.field.removeprefix('settings.')}", error.remedy
    return None


def in_words(source: str, values: Mapping[str, float]) -> str:
    """``threshold 0.6, believe the prompt's count: on``: the settings that a person is asked for."""
    titles = {name: field.title for name, field in SETTINGS[source].model_fields.items() if field.title is not None}
    said = {True: ": on", False: ": off"}
    return ", ".join(
        titles[name].lower() + (said[value] if isinstance(value, bool) else f" {value:g}")
        for name, value in values.items()
        if name in titles
    )


def ask_settings(inputs: types.Object, ctx: ExecutionContext, source: str, *names: str) -> None:
    """A field for each setting of ``names``, by default all that have a title; one that is wrong is refused."""
    problem = settings_problem(ctx, source)
    ranges = limits(SETTINGS[source])
    for name, field in SETTINGS[source].model_fields.items():
        if field.title is None or (names and name not in names):
            continue
        key = f"{source}_{name}"
        if isinstance(field.default, bool):
            switch = types.SwitchView(label=field.title, description=field.description)
            inputs.bool(key, default=field.default, view=switch)
        elif name in _SLIDERS:
            least, most = ranges[name]
            # The knob itself shows no number while nobody holds it.
            value = param(ctx, key, field.default)
            label = f"{field.title}: {value:.2f}" if isinstance(value, int | float) else field.title
            view = types.SliderView(
                label=label,
                description=field.description,
                label_position="top",
                value_precision=2,
                value_label_display="auto",
            )
            inputs.float(key, default=field.default, min=least, max=most, view=view)
        else:
            inputs.float(key, label=field.title, description=field.description, default=field.default)
        if problem is not None and problem[0] == key:
            refuse(inputs.properties[key], problem[1])


def preview_sample(ctx: ExecutionContext, samples: fo.Dataset | fo.DatasetView) -> fo.Sample | None:
    """The sample a person points at, by selecting or opening it, else the first that keeps its heatmaps."""
    from diffucurate.plugin.labelling.preview import first_with_maps

    pointed = [*ctx.selected, *([ctx.current_sample] if ctx.current_sample else [])]
    chosen = ctx.dataset.select(pointed[:1])
    return chosen.first() if pointed and len(chosen) else first_with_maps(samples)


def show_preview(inputs: types.Object, sample: fo.Sample | None, settings: Settings, classes: list[str] | None) -> None:
    """The sample's image, its labels now and those at the settings, side by side, or why there is nothing to show."""
    # What draws needs OpenCV, so it is imported where a preview is asked for; it loads no model.
    from diffucurate.plugin.labelling.preview import data_uri, preview

    if sample is None:
        _say(inputs, "None of these images keeps its heatmaps; label them with attention first, then preview.")
        return
    try:
        made = preview(sample, settings, classes)
    except DiffucurateError as error:
        _say(inputs, f"{error}.")
        return
    count = len(made.labels.instances)
    then = f"With these settings: {objects(count)}"
    pictures = {"image": ("The image", made.image), "then": (then, made.then)}
    if made.now is not None and made.current is not None:
        now = f"Now: {objects(len(made.current.instances))}"
        pictures = {"image": pictures["image"], "now": (now, made.now), "then": pictures["then"]}
    row = inputs.h_stack("preview", gap=2, align_y="start")
    for name, (label, pixels) in pictures.items():
        view = types.ImageView(width=f"{_FORM_WIDTH // len(pictures) - 16}px")
        row.str(name, label=label, default=data_uri(pixels, _PREVIEW_SIDE), view=view)


def objects(count: int) -> str:
    """``1 object``, ``2 objects``."""
    return f"{count} object{'' if count == 1 else 's'}"


def _say(inputs: types.Object, sentence: str) -> None:
    inputs.view("no_preview", types.Notice(label=sentence))
