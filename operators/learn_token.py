"""Operator: learn a class's token from samples with trusted masks. The form; ``plugin.tokens.optimize`` learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.models.token_files import token_names
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import choose, choose_several, choose_target, listed, param, refuse
from diffucurate.operators.forms.model import ask_model
from diffucurate.operators.forms.refusals import is_refused, refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.store.label_fields import labels_of, learnable, learnable_field
from diffucurate.plugin.tokens.start import check_token

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class LearnToken(LibraryOperator):
    """Samples, a label field, classes, a name -> tokens by which attention finds these classes in other images."""

    NAME: ClassVar[str] = "learn_token"
    LABEL: ClassVar[str] = "Optimise class token"
    DESCRIPTION: ClassVar[str] = "Learn a class's token for attention from a few images whose masks you trust"
    ICON: ClassVar[str] = "school"
    RISK: ClassVar[Risk] = "high"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        field: str,
        classes: str | list[str] | None = None,
        *,
        name: str | None = None,
        model: str | None = None,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; see ``call``."""
        names = [classes] if isinstance(classes, str) else classes
        params = {"field": field, "classes": names, "name": name, "model": model, "overwrite": overwrite}
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Learn from"):
            usable = learnable(ctx.dataset)
            if usable:
                self._ask_masks(inputs, ctx, usable)
                self._ask_name(inputs, ctx)
                self._check(inputs, ctx, usable[0])
            else:
                advice = "Draw masks in the App, or run 'Label images' and correct some."
                notice = types.Error(label="This dataset holds no masks yet", description=advice)
                refuse(inputs.view("no_masks", notice), f"this dataset holds no masks yet; {advice}")
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Learn"))

    def _ask_masks(self, inputs: types.Object, ctx: ExecutionContext, usable: list[str]) -> None:
        first = usable[0]
        field = choose(
            inputs,
            "field",
            {name: name for name in usable},
            label="Masks",
            default=first,
            description="The field whose masks are right; images without a value in it are left out",
        )
        chosen = param(ctx, "field", first)
        if chosen not in usable:
            refuse(field, f"the dataset has no masks '{chosen}' any more; choose others")
            return
        if labelled := len(ctx.target_view().exists(chosen)):
            advice = "One to five of each class will do; every object of the class has to be in its masks."
            label = f"Learned from {counted(labelled, 'image')}"
            inputs.view("images", types.Notice(label=label, description=advice))
        choose_several(
            inputs,
            "classes",
            labels_of(ctx.target_view(), learnable_field(ctx.dataset, chosen)),
            label="Classes",
            description="What to learn; where empty, all that the masks show. Classes learned together learn to tell "
            "each other apart.",
        )

    def _check(self, inputs: types.Object, ctx: ExecutionContext, first: str) -> None:
        if is_refused(inputs):
            return
        with refused(inputs, {"token": "name"}, otherwise="field"):
            check_token(
                ctx.target_view(),
                param(ctx, "field", first),
                listed(param(ctx, "classes")),
                name=param(ctx, "name"),
                model=param(ctx, "model"),
                overwrite=bool(param(ctx, "overwrite", False)),
            )

    def _ask_name(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        existing = ", ".join(token_names()) or "none yet"
        inputs.str(
            "name",
            label="Name",
            description="What to call the token; where empty, its class. With several classes, what their names begin "
            f"with. There are: {existing}",
        )
        inputs.bool("overwrite", default=False, label="Replace tokens of the same name")
        ask_model(inputs, ctx, "Will look for the class")

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.tokens.optimize import learn_token

        usable = learnable(ctx.dataset)
        field = param(ctx, "field", usable[0] if usable else None)
        if field is None:
            raise DatasetError("this dataset holds no masks yet; draw some in the App first")
        learned = learn_token(
            ctx.target_view(),
            field,
            listed(param(ctx, "classes")),
            name=param(ctx, "name"),
            model=param(ctx, "model"),
            overwrite=bool(param(ctx, "overwrite", False)),
            progress=progress,
        )
        images = len(next(iter(learned.values())).provenance.samples)
        tokens = [f"{name} (IoU {token.provenance.iou:.2f})" for name, token in learned.items()]
        result = {
            "field": field,
            "images": images,
            "tokens": ", ".join(learned),
            "iou": {name: round(token.provenance.iou, 3) for name, token in learned.items()},
        }
        return Outcome(f"Learned from {counted(images, 'image')}: {', '.join(tokens)}", result)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        tokens = outcome.result["tokens"].split(", ")
        return [step("Label images with it", "label_images", source=["attention"], tokens=tokens, show_settings=True)]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """Nothing has changed that the App would have to show."""
        yield from ()
