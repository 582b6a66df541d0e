"""Operator: variants of labelled images that keep their labels. The form; ``plugin.augmentation`` does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError, ModelError
from diffucurate.generator.recipe.augment_config import PARTS, STRENGTHS, TEMPLATE
from diffucurate.generator.recipe.init_image_config import DEFAULT_MARGIN
from diffucurate.generator.text.counted import counted
from diffucurate.generator.text.parsing import parse_strength
from diffucurate.operators.forms.fields import choose, choose_target, param, plain, refuse
from diffucurate.operators.forms.init_images import ask_advanced, ask_model
from diffucurate.operators.forms.recipe_fields import PREVIEWED
from diffucurate.operators.forms.recipe_params import model_of
from diffucurate.operators.forms.refusals import is_refused, put, refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.augmentation.start import VARIANTS, augment_recipe
from diffucurate.plugin.generation.init_prompts import preview_of
from diffucurate.plugin.generation.start import check_model, check_target
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_fields import with_objects

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener
    from diffucurate.generator.recipe.recipe import Recipe

#: The key of a recipe -> its field, where that has another name.
_PLACES = {
    "templates": "prompt",
    "seeds": "variants",
    **{f"augment.{name}": name for name in ("field", "part", "margin", "min_iou")},
}
_WHAT = {
    "image": "The whole image: layout stays at small strengths, labels at those where attention confirms them",
    "objects": "The objects alone, within their grown masks",
    "background": "All but the objects; what is within their grown masks stays to the pixel",
}
_STRENGTHS = ", ".join(f"{each:g}" for each in STRENGTHS)


class AugmentImages(LibraryOperator):
    """Images, their labels, a part -> variants with the same labels, each checked by attention."""

    NAME: ClassVar[str] = "augment_images"
    LABEL: ClassVar[str] = "Augment images"
    DESCRIPTION: ClassVar[str] = "Paint variants of labelled images that keep their labels, and check these (DA-Fusion)"
    ICON: ClassVar[str] = "auto_awesome_motion"
    RISK: ClassVar[Risk] = "medium"
    PLACES: ClassVar[Mapping[str, str]] = _PLACES
    KEPT: ClassVar[str] = "What was painted until then is kept. Run it again to paint the rest."
    REMEMBERS: ClassVar[bool] = True

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        field: str,
        *,
        variants: int = VARIANTS,
        part: str = "image",
        delegate: bool = False,
        **settings: Any,
    ) -> Any:
        """The same from Python: ``settings`` are those of ``diffucurate.augment`` that the form has; see ``call``."""
        if not isinstance(strength := settings.get("strength"), str | None):
            settings["strength"] = ", ".join(map(str, strength if isinstance(strength, Sequence) else [strength]))
        params = {"field": field, "variants": variants, "part": part, **settings}
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Augment"):
            self._ask(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Paint"))

    def _ask(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        present = _fields(ctx)
        if not present:
            advice = "this dataset holds no labels with objects yet; run 'Label images' first"
            refuse(inputs.view("no_field", types.Error(label="Nothing to keep yet", description=advice)), advice)
            return
        names = {name: name for name in present}
        choose(inputs, "field", names, label="Labels", description="They are kept as they are", default=present[0])
        if param(ctx, "field", present[0]) not in present:
            refuse(inputs.properties["field"], f"the dataset has no labels '{param(ctx, 'field')}' any more")
            return
        ways = types.RadioGroup(orientation="horizontal", description=_WHAT.get(param(ctx, "part", "image"), ""))
        for part in PARTS:
            ways.add_choice(part, label=part.capitalize())
        inputs.enum("part", ways.values(), default="image", label="Painted anew", view=ways)
        description = "What variants shall show; {labels} becomes each image's own, such as two cars and a bus"
        inputs.str("prompt", label="Prompt", description=description, default=TEMPLATE)
        ask_model(inputs, ctx)
        small = types.TextFieldView(space=6)
        inputs.int("variants", label="Variants", description="New images of each image", default=VARIANTS, view=small)
        description = "How far to go from each image, up to 1; of several each variant draws one"
        inputs.str("strength", label="Strength", description=description, default=_STRENGTHS, view=small)
        if param(ctx, "part", "image") != "image":
            description = "How far masks are grown, as a share of an object's side"
            inputs.float("margin", label="Margin", description=description, default=DEFAULT_MARGIN, view=small)
        description = "Labels that attention finds with less overlap are tagged 'unconfirmed'"
        inputs.float("min_iou", label="Least IoU", description=description, default=0.5, view=small)
        description = "A word for each class, from its objects in these images; takes minutes on a GPU"
        inputs.bool("learn_words", label="Learn words first", description=description, default=False)
        ask_advanced(inputs, ctx)
        self._show(inputs, ctx)

    def _show(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        """Say what will be painted, or put what is wrong on its field."""
        try:
            recipe = self._recipe(ctx)
            with refused(inputs, otherwise="field"):
                check_target(recipe)
            if is_refused(inputs):
                return
            check_model(recipe)
            preview = preview_of(recipe, PREVIEWED)
        except ModelError as error:
            put(inputs, error, _PLACES, otherwise="model" if "model" in inputs.properties else "model_from")
            return
        except DiffucurateError as error:
            put(inputs, error, _PLACES)
            return
        lines = "\n".join(f"- {plain(prompt)}" for prompt in preview.prompts)
        inputs.str("preview", label="Prompts such as", default=lines, view=types.MarkdownView(read_only=True))
        about = "" if preview.exact else "About "
        label = f"{about}{counted(preview.images, 'variant')} for dataset '{recipe.dataset}', with the tag 'augmented'."
        inputs.view(
            "summary", types.Notice(label=plain(label), description="Those that are there are not painted again.")
        )

    def _recipe(self, ctx: ExecutionContext) -> Recipe:
        return augment_recipe(ctx.target_view(), **self._settings(ctx))

    def _settings(self, ctx: ExecutionContext) -> dict[str, Any]:
        """What the recipe and the run are both asked for."""
        present = _fields(ctx)
        values = {name: param(ctx, name) for name in ("margin", "min_iou", "steps", "prompt")}
        if param(ctx, "part", "image") == "image":
            del values["margin"]
        return {
            "field": param(ctx, "field", present[0] if present else ""),
            "variants": param(ctx, "variants", VARIANTS),
            "part": param(ctx, "part", "image"),
            "strength": parse_strength(param(ctx, "strength", _STRENGTHS)),
            "model": model_of(ctx.params),
            **{name: value for name, value in values.items() if value is not None},
        }

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.augmentation.augment import augment

        settings = self._settings(ctx) | {name: param(ctx, name) for name in ("count", "batch_size", "device")}
        painted = augment(
            ctx.target_view(), **settings, learn_words=param(ctx, "learn_words", False), progress=progress
        )
        doubtful = len(painted.match_labels(tags=field_names.UNCONFIRMED))
        message = f"{counted(len(painted), 'variant')} with the tag '{field_names.AUGMENTED}'"
        if doubtful:
            message += f"; {doubtful} of them have labels that attention does not confirm"
        return Outcome(message, {"dataset": painted.dataset_name, "variants": len(painted), "unconfirmed": doubtful})

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        field = param(ctx, "field")
        return [step("Curate", "curate_samples", source=field), step("Export", "export_samples", source=field)]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.reload_dataset()


def _fields(ctx: ExecutionContext) -> list[str]:
    """The labels that can be kept: all but those of attention, which variants have anew."""
    return [name for name in with_objects(ctx.dataset) if name != field_names.PAINTING_SOURCE]
