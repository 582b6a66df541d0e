"""Operator: labels of one sample from its kept maps at other settings, before a view is labelled with them.

The form; ``plugin.labelling.preview`` does the work. The image follows the settings in the form itself; sending it off
opens the form of ``label_images`` with the same settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.sources.registry import source_of_maps
from diffucurate.operators.forms.fields import has_dataset, listed, param
from diffucurate.operators.forms.label_preview import objects, preview_sample, show_preview
from diffucurate.operators.forms.label_settings import (
    ask_settings,
    read_settings,
    settings_params,
    settings_problem,
)
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk, is_from_app
from diffucurate.operators.runtime.uris import OPEN_FORM, uri_of

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class PreviewThreshold(LibraryOperator):
    """One sample, settings -> its labels at these settings, stored nowhere."""

    NAME: ClassVar[str] = "preview_threshold"
    LABEL: ClassVar[str] = "Preview threshold"
    DESCRIPTION: ClassVar[str] = "Try how labels are cut out of heatmaps on one image, before labelling with them"
    ICON: ClassVar[str] = "tune"
    RISK: ClassVar[Risk] = "low"

    def __call__(
        self, sample: fo.Sample, *, settings: LabelSettings | None = None, classes: list[str] | None = None
    ) -> Any:
        """The same from Python: the objects that would be found; ``plugin.labelling.preview`` gives the pixels too."""
        values = settings_params(source_of_maps(), settings) if settings is not None else {}
        return self.call(sample.dataset, {**values, "sample_id": sample.id, "classes": classes})

    def resolve_execution_options(self, ctx: ExecutionContext) -> foo.ExecutionOptions:
        """Immediate: a preview is of no use later."""
        return foo.ExecutionOptions(allow_immediate_execution=True, allow_delegated_execution=False)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if has_dataset(inputs, ctx):
            sample = _sample(ctx)
            if sample is not None:
                shown = types.Header(label=sample.filename, description="The selected image, else the first one")
                inputs.view("sample", shown)
            spec = source_of_maps()
            if settings_problem(ctx, spec) is None:
                show_preview(inputs, sample, read_settings(ctx, spec), listed(param(ctx, "classes")))
            ask_settings(inputs, ctx, spec)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Use these settings"))

    def execute(self, ctx: ExecutionContext) -> Messages | dict[str, Any]:
        """In the App, the form of ``label_images`` opens, filled in with what was chosen; nothing else happens."""
        if is_from_app(ctx) and not ctx.delegated:
            return _hand_over(ctx)
        return super().execute(ctx)

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.labelling.preview import preview

        spec, sample, classes = source_of_maps(), _sample(ctx), listed(param(ctx, "classes"))
        settings = read_settings(ctx, spec)
        if sample is None:
            raise DatasetError(f"no image keeps its heatmaps; label images with {spec.name} first")
        found = preview(sample, settings, classes).labels.instances
        result = {
            "sample": sample.id,
            "image": sample.filename,
            "instances": len(found),
            "found": [{"label": instance.label, "confidence": round(instance.confidence, 3)} for instance in found],
            "settings": settings.model_dump(),
            "classes": classes,
        }
        return Outcome(f"{objects(len(found))} in {sample.filename} with these settings", result)


def _hand_over(ctx: ExecutionContext) -> Messages:
    yield ctx.trigger(OPEN_FORM, {"operator_uri": uri_of("label_images"), "params": handed_over(ctx)})


def handed_over(ctx: ExecutionContext) -> dict[str, Any]:
    """The settings that were chosen, as the form of ``label_images`` is filled in; all of them are shown there."""
    spec = source_of_maps()
    names = {f"{spec.name}_{name}" for name in spec.settings.model_fields}
    chosen = {name: param(ctx, name) for name in ctx.params if name in names and param(ctx, name) is not None}
    params = {**chosen, "source": [spec.name], "classes": param(ctx, "classes"), "show_settings": True}
    return {name: value for name, value in params.items() if value is not None}


def _sample(ctx: ExecutionContext) -> fo.Sample | None:
    """The sample that a call from Python names, else the one that the App shows or has selected."""
    if named := param(ctx, "sample_id"):
        return ctx.dataset[named]
    return preview_sample(ctx, ctx.view)
