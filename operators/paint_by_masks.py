"""Operator: images painted by the labels of others. Knows the form; ``plugin.generation.generate`` does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.recipe.layout_config import MASKS, PLACE, LayoutConfig
from diffucurate.operators.forms.fields import choose_target, param, refuse
from diffucurate.operators.forms.init_images import (
    ask_advanced,
    ask_dataset,
    ask_model,
    ask_prompt,
    ask_seeds,
    in_form,
    show_estimate,
)
from diffucurate.operators.runtime.image_task import FromImages
from diffucurate.operators.runtime.operator import Risk
from diffucurate.plugin.generation.mask2img import layout_content
from diffucurate.plugin.store.label_fields import label_field, labels_of, with_objects

_USUAL = LayoutConfig()


class PaintByMasks(FromImages):
    """Labels of images, a prompt -> new images in which the same classes are at the same places."""

    NAME: ClassVar[str] = "paint_by_masks"
    LABEL: ClassVar[str] = "Paint by masks"
    DESCRIPTION: ClassVar[str] = "Paint new images by the labels of others, which are then their labels (mask2img)"
    ICON: ClassVar[str] = "dashboard"
    RISK: ClassVar[Risk] = "medium"
    TASK: ClassVar[str] = MASKS

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        field: str,
        *,
        prompt: str | None = None,
        attributes: Mapping[str, str | Sequence[str]] | None = None,
        delegate: bool = False,
        **settings: Any,
    ) -> Any:
        """The same from Python: ``settings`` are those of ``diffucurate.mask2img`` that the form has; see ``call``."""
        changes = [
            f"{name}={values if isinstance(values, str) else ','.join(values)}"
            for name, values in (attributes or {}).items()
        ]
        params = in_form(field=field, prompt=prompt, changes=changes, **settings)
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Masks of"):
            self._ask(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Paint"))

    def _ask(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        present = with_objects(ctx.dataset)
        if not present:
            advice = "this dataset holds no labels with objects yet; run 'Label images' first"
            refuse(inputs.view("no_field", types.Error(label="No masks yet", description=advice)), advice)
            return
        menu = types.Dropdown(label="Masks", description="The labels that the new images are painted by")
        for name in present:
            menu.add_choice(name, label=name)
        inputs.enum("field", menu.values(), default=present[0], required=True, view=menu)
        chosen = param(ctx, "field", present[0])
        labels = labels_of(ctx.dataset, label_field(ctx.dataset, chosen)) if chosen in present else []
        if chosen not in present:
            refuse(inputs.properties["field"], f"the dataset has no labels '{chosen}' any more; choose others")
            return
        ask_dataset(inputs, ctx, ending="by-mask")
        description = f"What the images shall show; {PLACE} are those of each mask"
        ask_prompt(inputs, ctx, description=description, required=False, classes=labels, default=f"a photo of {PLACE}")
        ask_model(inputs, ctx)
        ask_seeds(inputs)
        self._ask_strength(inputs)
        ask_advanced(inputs, ctx)
        show_estimate(inputs, ctx, self.TASK, self.more(ctx), "")

    def _ask_strength(self, inputs: types.Object) -> None:
        inputs.float(
            "until",
            label="Masks hold for",
            description="The share of the steps, from the first, up to 1",
            default=_USUAL.until,
            view=types.TextFieldView(space=4),
        )
        inputs.float(
            "boost",
            label="Boost",
            description="How many times as much pixels attend to the words of their class",
            default=_USUAL.boost,
            view=types.TextFieldView(space=4),
        )
        inputs.float(
            "guide",
            label="Guide",
            description="How strongly classes are guided to their masks' centres and sizes, such as 12",
            view=types.TextFieldView(space=4, placeholder="off"),
        )
        words = types.Dropdown(label="Other words", description="Whether pixels of a class see them", space=4)
        words.add_choice("shared", label="Seen by all pixels")
        words.add_choice("own", label="Seen by the background alone")
        inputs.enum("words", words.values(), default=_USUAL.words, view=words)

    def more(self, ctx: ExecutionContext) -> dict[str, Any]:
        present = with_objects(ctx.dataset)
        field = param(ctx, "field", present[0] if present else "")
        return {"layout": layout_content(field, *(param(ctx, name) for name in ("until", "boost", "words", "guide")))}
