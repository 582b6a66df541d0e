"""Operator: attention labels of one sample at other settings, before a view is labelled with them.

The form; ``plugin.labelling.preview`` does the work. The image follows the settings in the form itself; running it
offers ``label_images`` with the same settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.operators.forms.fields import has_dataset, listed, param
from diffucurate.operators.forms.label_settings import (
    ask_settings,
    given_settings,
    in_words,
    objects,
    preview_sample,
    settings_params,
    settings_problem,
    show_preview,
)
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome
from diffucurate.operators.runtime.uris import uri_of

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

SOURCE = "attention"
LABEL_IMAGES = uri_of("label_images")


class PreviewThreshold(LibraryOperator):
    """One sample, settings -> its attention labels at these settings, stored nowhere."""

    NAME: ClassVar[str] = "preview_threshold"
    LABEL: ClassVar[str] = "Preview threshold"
    DESCRIPTION: ClassVar[str] = "Try settings of attention labels on one image before labelling with them"
    ICON: ClassVar[str] = "tune"

    def __call__(
        self, sample: fo.Sample, *, settings: LabelSettings | None = None, classes: list[str] | None = None
    ) -> Any:
        """The same from Python: the objects that would be found; ``plugin.labelling.preview`` gives the pixels too."""
        values = settings_params(SOURCE, settings) if settings is not None else {}
        return self.call(sample.dataset, {**values, "sample_id": sample.id, "classes": classes})

    def resolve_execution_options(self, ctx: ExecutionContext) -> foo.ExecutionOptions:
        """At once: nobody waits in a queue for a preview."""
        return foo.ExecutionOptions(allow_immediate_execution=True, allow_delegated_execution=False)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if has_dataset(inputs, ctx):
            sample = _sample(ctx)
            if sample is not None:
                shown = types.Header(label=sample.filename, description="The selected image, else the first one")
                inputs.view("sample", shown)
            if settings_problem(ctx, SOURCE) is None:
                show_preview(inputs, sample, given_settings(ctx, SOURCE), listed(param(ctx, "classes")))
            ask_settings(inputs, ctx, SOURCE)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Use these settings"))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.labelling.preview import preview

        sample, settings, classes = _sample(ctx), given_settings(ctx, SOURCE), listed(param(ctx, "classes"))
        if sample is None:
            raise DatasetError("no image keeps its heatmaps; label images with attention first")
        found = preview(sample, settings, classes).labels.instances
        result = {
            "sample": sample.id,
            "image": sample.filename,
            "instances": len(found),
            "found": [{"label": thing.label, "confidence": round(thing.confidence, 3)} for thing in found],
            "settings": settings.model_dump(),
            "classes": classes,
        }
        return Outcome(f"{objects(len(found))} in {sample.filename} with these settings", result)

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """Nothing has changed that the App would have to show."""
        yield from ()

    def output(self, result: dict[str, Any]) -> types.Object:
        found = ", ".join(f"{thing['label']} ({thing['confidence']:.2f})" for thing in result.get("found", []))
        outputs = super().output({"image": result.get("image")})
        if "settings" in result:
            line = types.LabelValueView(read_only=True)
            outputs.str("objects_found", label="Found", default=found or "nothing", view=line)
            outputs.str("settings_used", label="Settings", default=in_words(SOURCE, result["settings"]), view=line)
            params = {f"{SOURCE}_{name}": value for name, value in result["settings"].items()}
            params |= {"source": SOURCE, "classes": result["classes"], "show_settings": True}
            label = "Label images with these settings"
            outputs.view("use", types.Button(label=label, operator=LABEL_IMAGES, prompt=True, params=params))
        return outputs


def _sample(ctx: ExecutionContext) -> fo.Sample | None:
    """The sample that a call from Python names, else the one that the App shows or has selected."""
    if named := param(ctx, "sample_id"):
        return ctx.dataset[named]
    return preview_sample(ctx, ctx.view)
