"""Operator: label images by a source. Knows the form; ``plugin.label`` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.operators.execution import LibraryOperator, Messages, Outcome
from diffucurate.operators.forms import choose, choose_target, given, listed, refuse
from diffucurate.plugin import fields
from diffucurate.plugin.classes import read_classes

if TYPE_CHECKING:
    from diffucurate.plugin.progress import Listener

SOURCES = {
    "attention": "Attention - the model's own heatmaps of each class",
    "yolov8": "YOLOv8 - a trained segmenter",
}


class LabelImages(LibraryOperator):
    """Source, target view, classes or weights -> masks, polygons and instances of that source."""

    NAME: ClassVar[str] = "label_images"
    LABEL: ClassVar[str] = "Label images"
    DESCRIPTION: ClassVar[str] = "Add masks, polygons and instances from attention or from YOLOv8"
    ICON: ClassVar[str] = "label"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        *,
        source: str,
        weights: str | None = None,
        model: str | None = None,
        classes: list[str] | None = None,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; see ``call``."""
        params = {"source": source, "weights": weights, "model": model, "classes": classes}
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Label"):
            self._source(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Label"))

    def _source(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        choose(inputs, "source", SOURCES, label="Source", description="Where the labels come from", default="attention")
        if given(ctx, "source", "attention") == "yolov8":
            weights = inputs.str(
                "weights",
                label="Weights",
                description="Full path of a YOLO segmentation checkpoint; the built-in one where empty",
            )
            path = given(ctx, "weights")
            if path and not Path(path).expanduser().is_file():
                refuse(
                    weights, f"'{path}' is no file on this machine; give the full path of a .pt file or leave it empty"
                )
        else:
            inputs.str(
                "model",
                label="Model",
                description="For images painted elsewhere: 'tiny', a hub id or a folder. "
                "Where heatmaps were kept at painting, labels are made from those.",
            )
        known = list(read_classes(ctx.dataset))
        classes = inputs.list(
            "classes",
            types.String(),
            label="Classes",
            description=f"What to label; where empty, what the dataset knows: {', '.join(known) or 'nothing yet'}",
            view=types.AutocompleteView(choices=[types.Choice(name, label=name) for name in known]),
        )
        if not known and not listed(given(ctx, "classes")):
            refuse(classes, "this dataset has no classes yet; name at least one, such as car")

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.label import label

        source = given(ctx, "source")
        samples = ctx.target_view()
        label(
            samples,
            source=source,
            weights=given(ctx, "weights"),
            model=given(ctx, "model"),
            classes=listed(given(ctx, "classes")),
            progress=progress,
        )
        found = samples.count(f"{fields.instances(source)}.detections")
        message = f"{len(samples)} images labelled by {source}: {found} instances"
        return Outcome(message, {"source": source, "images": len(samples), "instances": found})

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.reload_dataset()
        shown = fields.instances(outcome.result["source"])
        yield ctx.ops.set_active_fields([*(field for field in ctx.active_fields or [] if field != shown), shown])
