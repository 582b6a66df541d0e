"""Operator: train an adapter on one source's labels. Knows the form; ``plugin.detection.train`` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.detection.settings import AdapterSettings
from diffucurate.generator.errors import DiffucurateError, ExportError, InvalidSetting, ModelError
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import ask_classes, choose_source, choose_target, listed, param
from diffucurate.operators.forms.init_images import ask_model
from diffucurate.operators.forms.recipe_params import model_of
from diffucurate.operators.forms.refusals import is_refused, put
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.detection.start import check_adapter
from diffucurate.plugin.store.classes import classes_in
from diffucurate.plugin.store.label_sources import instances_field

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

_DEFAULTS = AdapterSettings()

#: The fields of the form that are fields of ``AdapterSettings``: name -> label, description.
_NUMBERS = {
    "steps": ("Steps", "Each learns from a few images; a thousand and more for good figures"),
    "batch_size": ("Images per step", ""),
    "learning_rate": ("Learning rate", ""),
    "noise": ("Noise", "Of the pass that reads features, as a share of the model's schedule"),
    "val": ("Held out", "Share of the images that no step learns from: the figures are theirs"),
    "zoom": ("Zoom", "Images are seen at random scales up to this"),
    "seed": ("Seed", ""),
}
_WHOLE = {"steps", "batch_size", "seed"}


class TrainAdapter(LibraryOperator):
    """One source's labels of a view -> an adapter on disk, and its figures."""

    NAME: ClassVar[str] = "train_adapter"
    LABEL: ClassVar[str] = "Train adapter"
    DESCRIPTION: ClassVar[str] = "Train a small detector on a diffusion model's features, from few labelled images"
    ICON: ClassVar[str] = "model_training"
    RISK: ClassVar[Risk] = "high"
    KEPT: ClassVar[str] = "The last checkpoint is kept. Run it again with the same settings to go on."
    PLACES: ClassVar[Mapping[str, str]] = {}

    def __call__(
        self, samples: fo.Dataset | fo.DatasetView, source: str, *, delegate: bool = False, **settings: Any
    ) -> Any:
        """The same from Python: ``settings`` are those of ``diffucurate.train_adapter`` that the form has."""
        return self.call(samples, {"source": source, **settings}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Learn from"):
            source = choose_source(inputs, ctx, "source", label="Labels", description="What it learns to find")
            if source is not None:
                ask_classes(inputs, ctx, classes_in(ctx.dataset, instances_field(ctx.dataset, source)))
                ask_model(inputs, ctx)
                self._ask_numbers(inputs, "steps")
                inputs.str("name", label="Name", description="Of its files; the dataset and the source where empty")
                inputs.bool("overwrite", default=False, label="Begin anew where an adapter of that name is there")
                inputs.bool("flip", default=True, label="Mirror", description="See half of the images in a mirror")
                inputs.bool("show_more", default=False, label="More settings")
                if param(ctx, "show_more") or _hidden_is_wrong(ctx):
                    self._ask_numbers(inputs, *(name for name in _NUMBERS if name != "steps"))
                self._describe(inputs, ctx, source)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Train"))

    def _ask_numbers(self, inputs: types.Object, *names: str) -> None:
        for name in names:
            label, description = _NUMBERS[name]
            ask = inputs.int if name in _WHOLE else inputs.float
            ask(name, label=label, description=description, default=getattr(_DEFAULTS, name))

    def _describe(self, inputs: types.Object, ctx: ExecutionContext, source: str) -> None:
        """Put what is wrong on its field; else say what a stopped run has left."""
        if is_refused(inputs):
            return
        try:
            settings = AdapterSettings(**_settings(ctx))
            files, _ = check_adapter(
                ctx.target_view(),
                source,
                settings,
                name=param(ctx, "name"),
                classes=listed(param(ctx, "classes")),
                model=model_of(ctx.params),
                overwrite=bool(param(ctx, "overwrite", False)),
            )
        except ModelError as error:
            put(inputs, error, otherwise="model_from")
            return
        except ExportError as error:  # the images are too few for the share that is held out
            if "val" not in inputs.properties:
                self._ask_numbers(inputs, "val")
            put(inputs, error, otherwise="val")
            return
        except DiffucurateError as error:
            put(inputs, error, otherwise="source")
            return
        done = files.read_curves().get("step", ())
        label = f"{counted(len(ctx.target_view()), 'image')} to learn from; the adapter goes to {files.folder}"
        if done and not param(ctx, "overwrite", False):
            label = f"Goes on after step {done[-1]:.0f} of {settings.steps}, with the same settings and images"
        inputs.view("summary", types.Notice(label=label))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.detection.train import train_adapter

        trained = train_adapter(
            ctx.target_view(),
            param(ctx, "source"),
            name=param(ctx, "name"),
            classes=listed(param(ctx, "classes")),
            model=model_of(ctx.params),
            overwrite=bool(param(ctx, "overwrite", False)),
            progress=progress,
            **_settings(ctx),
        )
        result = {"weights": str(trained.weights), "steps": trained.steps, "ap50": round(trained.map50, 4)}
        message = f"AP50 {trained.map50:.3f} after {counted(trained.steps, 'step')}, on images that it did not learn "
        return Outcome(f"{message}from; label others by source 'adapter' with {trained.weights}", result)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        weights = outcome.result["weights"]
        return [step("Label images by it", "label_images", source=["adapter"], weights=weights, show_settings=True)]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        return iter(())


def _settings(ctx: ExecutionContext) -> dict[str, Any]:
    """The arguments of ``AdapterSettings``, as the form has them."""
    return {name: param(ctx, name) for name in (*_NUMBERS, "flip") if param(ctx, name) is not None}


def _hidden_is_wrong(ctx: ExecutionContext) -> bool:
    """Whether one of the settings that are folded away is wrong, so that it has to be in sight."""
    try:
        AdapterSettings(**_settings(ctx))
    except InvalidSetting as error:
        return error.field in _NUMBERS
    return False
