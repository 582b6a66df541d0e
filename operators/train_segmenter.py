"""Operator: train a segmenter on one source's labels. Knows the form; ``plugin.segmenters.train`` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError, ExportError, InvalidSetting, ModelError
from diffucurate.generator.segmenters.settings import SegmenterSettings
from diffucurate.generator.sources.extras import ULTRALYTICS
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import ask_classes, choose_source, choose_target, listed, param, refuse
from diffucurate.operators.forms.refusals import is_refused, put, refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.segmenters.start import check_train
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import classes_in
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.source_names import check_new_source

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

_DEFAULTS = SegmenterSettings()

#: The fields of the form that are fields of ``SegmenterSettings``: name -> label, description.
_NUMBERS = {
    "epochs": ("Epochs", "How many times each image is seen, at most"),
    "patience": ("Patience", "Stop after so many epochs without a better one; 0: never"),
    "batch_size": ("Images per step", ""),
    "image_size": ("Image size", "Longer side in pixels; the largest image's, at most 640, where empty"),
    "val": ("Held out", "Share of the images that no step learns from: the figures are theirs"),
    "learning_rate": ("Learning rate", "Chosen by the data where empty"),
    "mosaic": ("Mosaics", "Share of the training images that are mosaics of four"),
    "seed": ("Seed", ""),
}
_WHOLE = {"epochs", "patience", "batch_size", "image_size", "seed"}


class TrainSegmenter(LibraryOperator):
    """One source's labels of a view -> a YOLO segmenter on disk, its figures, and its own labels where asked for."""

    NAME: ClassVar[str] = "train_segmenter"
    LABEL: ClassVar[str] = "Train segmenter"
    DESCRIPTION: ClassVar[str] = "Train YOLO on the labels that are shown, to label other images or test the dataset"
    ICON: ClassVar[str] = "model_training"
    RISK: ClassVar[Risk] = "high"
    KEPT: ClassVar[str] = "The last whole epoch is kept. Run it again with the same settings to go on."

    def __call__(
        self, samples: fo.Dataset | fo.DatasetView, source: str, *, delegate: bool = False, **settings: Any
    ) -> Any:
        """The same from Python: ``settings`` are those of ``diffucurate.train_segmenter`` that the form has."""
        return self.call(samples, {"source": source, **settings}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if not ULTRALYTICS.installed:
            message = ULTRALYTICS.remedy("Training a segmenter")
            refuse(inputs.view("missing", types.Error(label=message)), message)
        elif choose_target(inputs, ctx, "Learn from"):
            source = choose_source(inputs, ctx, "source", label="Labels", description="What it learns to find")
            if source is not None:
                ask_classes(inputs, ctx, classes_in(ctx.dataset, instances_field(ctx.dataset, source)))
                self._ask_training(inputs, ctx)
                self._describe(inputs, ctx, source)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Train"))

    def _ask_training(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        start = "An architecture, as yolov8s-seg, or the full path of a segmenter (.pt) to train further"
        inputs.str("start", label="Starts from", default=_DEFAULTS.start, description=start)
        self._ask_numbers(inputs, "epochs")
        inputs.str("name", label="Name", description="What to call its files; the dataset and the source where empty")
        inputs.bool("overwrite", default=False, label="Begin anew where a segmenter of that name is there")
        inputs.str(
            "into",
            label="Label these images by it as",
            description="A name for its labels, such as student; it has learned from most of these images, so they "
            "are no independent ones. Nothing is labelled where empty",
        )
        inputs.bool("show_more", default=False, label="More settings")
        if param(ctx, "show_more") or _hidden_is_wrong(ctx):
            self._ask_numbers(inputs, *(name for name in _NUMBERS if name != "epochs"))

    def _ask_numbers(self, inputs: types.Object, *names: str) -> None:
        for name in names:
            label, description = _NUMBERS[name]
            ask = inputs.int if name in _WHOLE else inputs.float
            ask(name, label=label, description=description, default=getattr(_DEFAULTS, name))

    def _describe(self, inputs: types.Object, ctx: ExecutionContext, source: str) -> None:
        """Put what is wrong on its field; else say what a stopped run has left."""
        if into := param(ctx, "into"):
            with refused(inputs, otherwise="into"):
                check_new_source(ctx.dataset, into, "label", "labelled")
        if is_refused(inputs):
            return
        try:
            settings = SegmenterSettings(**_settings(ctx))
            files, _ = check_train(
                ctx.target_view(),
                source,
                settings,
                name=param(ctx, "name"),
                classes=listed(param(ctx, "classes")),
                into=into,
                overwrite=bool(param(ctx, "overwrite", False)),
            )
        except ModelError as error:
            put(inputs, error, otherwise="start")
            return
        except ExportError as error:  # the images are too few for the share that is held out
            if "val" not in inputs.properties:
                self._ask_numbers(inputs, "val")
            put(inputs, error, otherwise="val")
            return
        except DiffucurateError as error:
            put(inputs, error, otherwise="source")
            return
        count, done = len(ctx.target_view()), len(files.read_curves().get("epoch", ()))
        label = f"{counted(count, 'image')} to learn from, kept in {files.folder}"
        if done and files.last.is_file() and not param(ctx, "overwrite", False):
            label = f"Goes on after epoch {done} of {settings.epochs}, with the same settings and images"
        inputs.view("summary", types.Notice(label=label))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.segmenters.train import train_segmenter

        trained = train_segmenter(
            ctx.target_view(),
            param(ctx, "source"),
            name=param(ctx, "name"),
            classes=listed(param(ctx, "classes")),
            into=param(ctx, "into"),
            overwrite=bool(param(ctx, "overwrite", False)),
            progress=progress,
            **_settings(ctx),
        )
        figures = trained.figures
        result = {
            "weights": str(trained.weights),
            "epochs": trained.epochs,
            "mask_ap50": round(figures.mask_map50, 4),
            "mask_ap": round(figures.mask_map, 4),
            "into": param(ctx, "into"),
        }
        message = f"Mask AP50 {figures.mask_map50:.3f} after {counted(trained.epochs, 'epoch')}, on images that it did "
        message += f"not learn from; name {trained.weights} as the weights of YOLOv8 to label others"
        return Outcome(message, {name: value for name, value in result.items() if value is not None})

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        weights = outcome.result["weights"]
        label = step("Label images by it", "label_images", source=["yolov8"], weights=weights, show_settings=True)
        into = param(ctx, "into")
        compare = [] if into is None else [step("Compare", "compare_sources", a=param(ctx, "source"), b=into)]
        return [*compare, label]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        if into := outcome.result.get("into"):
            yield ctx.ops.reload_dataset()
            shown = field_names.instances(into)
            yield ctx.ops.set_active_fields([*(each for each in ctx.active_fields or [] if each != shown), shown])


def _settings(ctx: ExecutionContext) -> dict[str, Any]:
    """The arguments of ``SegmenterSettings``, as the form has them."""
    names = ("start", *_NUMBERS)
    return {name: param(ctx, name) for name in names if param(ctx, name) is not None}


def _hidden_is_wrong(ctx: ExecutionContext) -> bool:
    """Whether one of the settings that are folded away is wrong, so that it has to be in sight."""
    try:
        SegmenterSettings(**_settings(ctx))
    except InvalidSetting as error:
        return error.field in _NUMBERS
    return False
