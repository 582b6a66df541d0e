"""Operator: variations of images by prompt or attributes. The form; ``plugin.generation`` does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.recipe.init_image_config import VARY
from diffucurate.operators.forms.fields import choose, choose_target, param
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
from diffucurate.plugin.store.label_sources import comparable


class VaryImages(FromImages):
    """Images, a prompt or attributes, a strength -> their variations, with new labels and the old ones beside."""

    NAME: ClassVar[str] = "vary_images"
    LABEL: ClassVar[str] = "Vary images"
    DESCRIPTION: ClassVar[str] = "Paint variations of any images, photographs too, and label them anew (img2img)"
    ICON: ClassVar[str] = "style"
    RISK: ClassVar[Risk] = "medium"
    TASK: ClassVar[str] = VARY

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        *,
        prompt: str | None = None,
        attributes: Mapping[str, str | Sequence[str]] | None = None,
        delegate: bool = False,
        **settings: Any,
    ) -> Any:
        """The same from Python: ``settings`` are those of ``diffucurate.img2img`` that the form has; see ``call``."""
        changes = [
            f"{name}={values if isinstance(values, str) else ','.join(values)}"
            for name, values in (attributes or {}).items()
        ]
        return self.call(samples, in_form(prompt=prompt, changes=changes, **settings), delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Vary"):
            ask_dataset(inputs, ctx, ending="varied")
            ask_prompt(
                inputs,
                ctx,
                description="What they shall show. Empty: each painted image's own prompt, with other attributes",
                required=param(ctx, "changes") is None,
            )
            present = {name: name for name in comparable(ctx.dataset)}
            if present:
                choose(
                    inputs,
                    "carry",
                    present,
                    label="Keep labels",
                    required=False,
                    description="These labels are carried over too, and compared with the new ones",
                )
            ask_model(inputs, ctx)
            ask_numbers(inputs, strength="0.6")
            ask_advanced(inputs, ctx)
            ask = "Write a prompt, or choose attributes to change, such as time=night."
            show_estimate(inputs, ctx, self.TASK, self.more(ctx), ask)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Paint"))

    def more(self, ctx: ExecutionContext) -> dict[str, Any]:
        return {"carry": param(ctx, "carry")}
