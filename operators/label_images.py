"""Operator: label images by one source or several. Knows the form; ``plugin.labelling.label`` does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError, DiffucurateError, InvalidSetting, ModelError
from diffucurate.generator.labels.settings import SETTINGS, Settings
from diffucurate.generator.models.names import downloaded_models, downloaded_segmenters, locate, locate_segmenter
from diffucurate.generator.models.token_files import existing_token, token_names
from diffucurate.operators.forms.fields import choose_target, listed, param, refuse
from diffucurate.operators.forms.label_settings import (
    NAMES,
    ask_settings,
    given_settings,
    in_words,
    preview_sample,
    settings_params,
    settings_problem,
    show_preview,
)
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome
from diffucurate.plugin.labelling.plan import Plan, plan
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import read_classes

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

#: What each source is, for whoever has to choose; in the order in which they run.
SOURCES = {
    "attention": "From the heatmaps of the model that painted the image: needs no training, follows the prompt",
    "yolov8": "From a trained detector that looks at the image alone",
}

#: What a source is given besides settings: parameter -> the source.
_MODELS = {"model": "attention", "refiner": "attention", "weights": "yolov8"}


class LabelImages(LibraryOperator):
    """Sources, target view, classes, settings -> masks, polygons and instances of each source."""

    NAME: ClassVar[str] = "label_images"
    LABEL: ClassVar[str] = "Label images"
    DESCRIPTION: ClassVar[str] = "Add masks, polygons and instances from attention, from YOLOv8 or from both"
    ICON: ClassVar[str] = "label"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        *,
        source: str | Sequence[str],
        weights: str | None = None,
        model: str | None = None,
        refiner: str | None = None,
        tokens: list[str] | None = None,
        contrast: bool = True,
        classes: list[str] | None = None,
        settings: Mapping[str, Settings] | None = None,
        delegate: bool = False,
    ) -> Any:
        """The same from Python: ``source`` is one or several, ``settings`` are by source, ``contrast`` is for images
        with a prompt; see ``call``."""
        sources = [source] if isinstance(source, str) else list(source)
        params: dict[str, Any] = {
            "source": sources,
            "weights": weights,
            "model": model,
            "refiner": refiner,
            "tokens": tokens,
            "contrast": contrast,
            "classes": classes,
        }
        for name, values in (settings or {}).items():
            params |= settings_params(name, values)
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Label"):
            samples = ctx.target_view()
            sources = self._choose_sources(inputs, ctx)
            self._tell(inputs, ctx, samples, sources)
            self._classes(inputs, ctx)
            self._settings(inputs, ctx, samples, sources)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Label"))

    def _choose_sources(self, inputs: types.Object, ctx: ExecutionContext) -> list[str]:
        sources = [name for name in _sources(ctx) if name in SOURCES]
        inputs.view("sources", types.Header(label="Source", description="Where the labels come from", divider=True))
        for name, description in SOURCES.items():
            box = inputs.bool(
                f"use_{name}",
                default=name in sources,
                view=types.CheckboxView(label=NAMES[name], description=description),
            )
            if not sources:
                refuse(box, "choose at least one source")
        if "yolov8" in sources and find_spec("ultralytics") is None:
            refuse(
                inputs.properties["use_yolov8"],
                "YOLOv8 needs Ultralytics on the machine that runs the App: pip install 'diffucurate[yolo]'",
            )
        return sources

    def _tell(
        self, inputs: types.Object, ctx: ExecutionContext, samples: fo.Dataset | fo.DatasetView, sources: list[str]
    ) -> None:
        """What will happen, in numbers; nothing is looked at but the database."""
        plans = {name: plan(samples, name) for name in sources}
        if plans and not next(iter(plans.values())).images:
            message = "There are no images to label here; choose another target"
            refuse(inputs.view("no_images", types.Error(label=message)), message)
            return
        for name, counts in plans.items():
            sentence, box = _will_happen(name, counts, ctx), types.Notice
            if counts.labelled:
                have = "has" if counts.labelled == 1 else "have"
                sentence += f" {_images(counts.labelled)} {have} labels from {NAMES[name]} already, which are replaced."
                box = types.Warning
            inputs.view(f"{name}_plan", box(label=sentence))

    def _classes(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        known = list(read_classes(ctx.dataset))
        classes = inputs.list(
            "classes",
            types.String(),
            label="Classes",
            description=f"What to label; where empty, what the dataset knows: {', '.join(known) or 'nothing yet'}",
            view=types.AutocompleteView(choices=[types.Choice(name, label=name) for name in known]),
        )
        if not known and not listed(param(ctx, "classes")):
            refuse(classes, "this dataset has no classes yet; name at least one, such as car")

    def _settings(
        self, inputs: types.Object, ctx: ExecutionContext, samples: fo.Dataset | fo.DatasetView, sources: list[str]
    ) -> None:
        """Folded away until they are asked for, or one of them is wrong."""
        problems = _problems(ctx, sources)
        inputs.bool(
            "show_settings",
            default=False,
            view=types.SwitchView(label="Show settings", description="Good for most images as they are"),
        )
        if not param(ctx, "show_settings", False) and not problems:
            return
        for name in sources:
            inputs.view(f"{name}_settings", types.Header(label=NAMES[name], divider=True))
            if name == "attention":
                ask_settings(inputs, ctx, name, "floor")
                self._preview(inputs, ctx, samples)
                ask_settings(inputs, ctx, name, "min_area", "min_share", "min_confidence", "counted")
                models = [types.Choice(model, label=model) for model in downloaded_models()]
                inputs.str(
                    "model",
                    label="Model",
                    view=types.AutocompleteView(choices=models),
                    description="Looks at images without heatmaps, and at those whose heatmaps lack a class of their "
                    "prompt: 'owner/name' on Hugging Face, or the full path of a folder or .safetensors file. "
                    "Where empty, the built-in model looks at images without heatmaps.",
                )
                self._tokens(inputs)
                inputs.bool(
                    "contrast",
                    default=True,
                    view=types.SwitchView(
                        label="Contrast",
                        description="A model that looks at an image with a prompt is asked again "
                        "without each class: finds more of an object, and takes longer",
                    ),
                )
                segmenters = [types.Choice(model, label=model) for model in downloaded_segmenters()]
                inputs.str(
                    "refiner",
                    label="Outline refiner",
                    view=types.AutocompleteView(choices=segmenters),
                    description="A Segment Anything model that draws each object again, and is followed where it "
                    "agrees with attention: 'owner/name' on Hugging Face, such as facebook/sam-vit-base, or the full "
                    "path of a folder. Where empty, outlines stay as attention drew them. The preview does without it.",
                )
            elif name == "yolov8":
                ask_settings(inputs, ctx, name)
                inputs.str(
                    "weights",
                    label="Weights",
                    description="Full path of a YOLO segmentation checkpoint (.pt); the built-in one where empty",
                )
        for key in problems.keys() & inputs.properties.keys():
            refuse(inputs.properties[key], problems[key])

    def _tokens(self, inputs: types.Object) -> None:
        names = token_names()
        inputs.list(
            "tokens",
            types.String(),
            label="Learned tokens",
            description="Help words to find their classes, see 'Learn token'; all images are then looked at again. "
            f"There are: {', '.join(names) or 'none yet'}",
            view=types.AutocompleteView(choices=[types.Choice(name, label=name) for name in names]),
        )

    def _preview(self, inputs: types.Object, ctx: ExecutionContext, samples: fo.Dataset | fo.DatasetView) -> None:
        inputs.bool(
            "preview_on",
            default=False,
            view=types.SwitchView(
                label="Preview on one image",
                description="The selected image, else the first one; nothing is saved",
            ),
        )
        if param(ctx, "preview_on", False) and settings_problem(ctx, "attention") is None:
            sample = preview_sample(ctx, samples)
            show_preview(inputs, sample, given_settings(ctx, "attention"), listed(param(ctx, "classes")))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.generator.progress import step_of
        from diffucurate.plugin.labelling.label import label

        samples, sources = ctx.target_view(), _sources(ctx)
        unknown = [name for name in sources if name not in SETTINGS]
        if unknown or not sources:
            raise InvalidSetting("source", unknown or None, f"use one or more of {', '.join(SOURCES)}")
        settings = {name: given_settings(ctx, name) for name in sources}
        classes, found = listed(param(ctx, "classes")), dict[str, int]()
        for index, name in enumerate(sources):
            own = {key: param(ctx, key) for key, owner in _MODELS.items() if owner == name}
            if name == "attention":
                own["tokens"] = listed(param(ctx, "tokens"))
                own["contrast"] = None if param(ctx, "contrast", True) else False  # where no prompt is known it is off
            step = step_of(progress, index, len(sources))
            try:
                label(samples, source=name, settings=settings[name], classes=classes, progress=step, **own)
            except DiffucurateError as error:
                if not found:
                    raise
                raise DatasetError(f"labelled by {' and '.join(found)}, but not by {name}: {error}") from error
            found[name] = samples.count(f"{field_names.instances(name)}.detections")
        each = [f"by {name}: {count} instances" for name, count in found.items()]
        result = {
            "source": ", ".join(sources),
            "images": len(samples),
            "instances": sum(found.values()),
            "settings": {name: chosen.model_dump() for name, chosen in settings.items()},
        }
        return Outcome(f"{len(samples)} images labelled {', '.join(each)}", result)

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.reload_dataset()
        shown = [field_names.instances(name) for name in outcome.result["settings"]]
        yield ctx.ops.set_active_fields([*(field for field in ctx.active_fields or [] if field not in shown), *shown])

    def output(self, result: dict[str, Any]) -> types.Object:
        outputs = super().output(result)
        for name, values in result.get("settings", {}).items():
            words = in_words(name, values)
            outputs.str(f"{name}_settings", label=f"{NAMES[name]} settings", default=words, view=_LINE)
        return outputs


_LINE = types.LabelValueView(read_only=True)


def _sources(ctx: ExecutionContext) -> list[str]:
    """The sources ticked in the form; those of ``source`` are ticked to begin with, by default attention."""
    named = listed(param(ctx, "source", "attention")) or []
    return [name for name in dict.fromkeys([*SOURCES, *named]) if param(ctx, f"use_{name}", name in named)]


def _will_happen(source: str, counts: Plan, ctx: ExecutionContext) -> str:
    """What labelling by ``source`` does, for a person who wonders how long it takes."""
    if source != "attention":
        return f"{_images(counts.images)} {_are(counts.images)} looked at by {NAMES[source]}."
    tokens = listed(param(ctx, "tokens"))
    counts = counts._replace(mapped=0) if tokens else counts  # kept heatmaps were made without them
    sentences, rest = [], counts.images - counts.mapped
    if counts.mapped:
        keep = "keeps its heatmaps" if counts.mapped == 1 else "keep their heatmaps"
        sentences.append(f"{_images(counts.mapped)} {keep}: labels are made from those, nothing is painted.")
    if rest:
        model = param(ctx, "model")
        usual = "the model that the tokens were learned with" if tokens else "the built-in model"
        who = f"the model '{model}'" if model else usual
        others = f"{rest} other{'' if rest == 1 else 's'}" if counts.mapped else _images(rest)
        sentences.append(f"{others} {_are(rest)} looked at by {who}.")
    if tokens:
        sentences.append(f"Learned tokens are used: {', '.join(tokens)}.")
    if refiner := param(ctx, "refiner"):
        sentences.append(f"Outlines are redrawn by the model '{refiner}' where it agrees.")
    return " ".join(sentences)


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _problems(ctx: ExecutionContext, sources: list[str]) -> dict[str, str]:
    """Parameter -> what is wrong with it, of those that the form folds away."""
    found = dict(problem for name in sources if (problem := settings_problem(ctx, name)))
    weights = param(ctx, "weights")
    for key, look_up in (("model", locate), ("refiner", locate_segmenter)):
        name = param(ctx, key)
        if "attention" in sources and name:
            try:
                look_up(name)
            except ModelError as error:
                found[key] = str(error)
    for name in (listed(param(ctx, "tokens")) or []) if "attention" in sources else []:
        try:
            existing_token(name)
        except InvalidSetting as error:
            found["tokens"] = str(error)
    if "yolov8" in sources and weights and not Path(weights).expanduser().is_file():
        found["weights"] = f"'{weights}' is no file on this machine; give the full path of a .pt file or leave it empty"
    return found
