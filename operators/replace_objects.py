"""Operator: objects replaced by what a prompt names. Knows the form; ``plugin.generation.generate`` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.recipe.init_image_config import DEFAULT_MARGIN, KEPT_MARGIN, REPLACE
from diffucurate.generator.text.class_names import some_of
from diffucurate.operators.forms.fields import choose_several, choose_target, listed, param, refuse
from diffucurate.operators.forms.init_images import (
    ask_advanced,
    ask_dataset,
    ask_model,
    ask_numbers,
    ask_prompt,
    in_form,
    show_estimate,
)
from diffucurate.operators.runtime.image_task import FromImages
from diffucurate.operators.runtime.operator import Risk
from diffucurate.plugin.store.label_fields import label_field, labels_of, with_objects


class ReplaceObjects(FromImages):
    """Images, whose objects, a prompt -> images with other objects; only the new ones are labelled anew."""

    NAME: ClassVar[str] = "replace_objects"
    LABEL: ClassVar[str] = "Replace objects"
    DESCRIPTION: ClassVar[str] = "Paint other objects in place of labelled ones and label only what is new (inpainting)"
    ICON: ClassVar[str] = "find_replace"
    RISK: ClassVar[Risk] = "medium"
    TASK: ClassVar[str] = REPLACE

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        field: str,
        prompt: str,
        *,
        replace: str | Sequence[str] | None = None,
        delegate: bool = False,
        **settings: Any,
    ) -> Any:
        """The same from Python: ``settings`` are those of ``diffucurate.inpaint`` that the form has; see ``call``."""
        params = in_form(field=field, prompt=prompt, replace=replace, **settings)
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Replace in"):
            self._ask(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Paint"))

    def _ask(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        present = with_objects(ctx.dataset)
        if not present:
            advice = "this dataset holds no labels with objects yet; run 'Label images' first"
            refuse(inputs.view("no_field", types.Error(label="Nothing to replace yet", description=advice)), advice)
            return
        menu = types.Dropdown(label="Objects", description="Whose objects are replaced")
        for name in present:
            menu.add_choice(name, label=name)
        inputs.enum("field", menu.values(), default=present[0], required=True, view=menu)
        ways = types.RadioGroup(orientation="horizontal")
        ways.add_choice("largest", label="The largest of each image")
        ways.add_choice("each", label="Each, an image for every one")
        inputs.enum("instances", ways.values(), default="largest", view=ways)
        chosen = param(ctx, "field", present[0])
        labels = labels_of(ctx.dataset, label_field(ctx.dataset, chosen)) if chosen in present else []
        if chosen not in present:
            refuse(inputs.properties["field"], f"the dataset has no labels '{chosen}' any more; choose others")
        choose_several(
            inputs, "replace", labels, label="Only", description="Objects of these classes; of any where empty"
        )
        if unknown := [name for name in listed(param(ctx, "replace")) or () if name not in labels]:
            refuse(inputs.properties["replace"], f"{unknown[0]}: '{chosen}' holds {some_of(labels) or 'nothing'}")
        ask_dataset(inputs, ctx, ending="inpainted")
        description = "What the image shall show, the new object named"
        ask_prompt(inputs, ctx, description=description, required=True, classes=labels)
        ask_model(inputs, ctx)
        ask_numbers(inputs, strength="1")
        inputs.bool(
            "shape",
            label="Keep the outline",
            description="The new object fills the outline of the old one, which is its label then",
            default=False,
            view=types.SwitchView(space=6),
        )
        inputs.float(
            "margin",
            label="Margin",
            description="What is painted around an object, as a share of its side",
            view=types.TextFieldView(space=6, placeholder=f"{DEFAULT_MARGIN}; {KEPT_MARGIN} where outlines are kept"),
        )
        ask_advanced(inputs, ctx)
        ask = "Write what the images shall show, such as 'a red bus on a road'."
        show_estimate(inputs, ctx, self.TASK, self.more(ctx), ask)

    def more(self, ctx: ExecutionContext) -> dict[str, Any]:
        present = with_objects(ctx.dataset)
        objects = {
            "field": param(ctx, "field", present[0] if present else ""),
            "instances": param(ctx, "instances", "largest"),
            "classes": listed(param(ctx, "replace")),
            "shape": "keep" if param(ctx, "shape", False) in (True, "keep") else "free",
        }
        if param(ctx, "margin") is not None:
            objects["margin"] = param(ctx, "margin")
        return {"objects": objects}
