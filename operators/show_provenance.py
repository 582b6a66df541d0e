"""Operator: what made an image. The form; ``plugin.provenance`` and ``plugin.generation.repaint`` do the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError
from diffucurate.generator.recipe.files import recipe_text
from diffucurate.operators.forms.fields import has_dataset, param, plain, refuse
from diffucurate.operators.forms.recipe_params import PASTED
from diffucurate.operators.forms.selection import chosen_sample
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.operators.runtime.uris import uri_of
from diffucurate.plugin.generation.start import check_model
from diffucurate.plugin.provenance.describe import of_image, of_run
from diffucurate.plugin.provenance.painted_samples import dataset_with
from diffucurate.plugin.provenance.provenance import provenance
from diffucurate.plugin.provenance.recipe_of_sample import recipe_of

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener
    from diffucurate.generator.recipe.recipe import Recipe


class ShowProvenance(LibraryOperator):
    """A sample -> what made it; then a recipe of it for another form, or the same image painted again and compared."""

    NAME: ClassVar[str] = "show_provenance"
    LABEL: ClassVar[str] = "Show provenance"
    DESCRIPTION: ClassVar[str] = "What made an image: prompt, seed, model and run; paint it again to check"
    ICON: ClassVar[str] = "history_edu"
    RISK: ClassVar[Risk] = "medium"

    def resolve_placement(self, ctx: ExecutionContext) -> types.Placement:
        return types.Placement(types.Places.SAMPLES_VIEWER_ACTIONS, types.Button(label=self.LABEL, prompt=True))

    def resolve_execution_options(self, ctx: ExecutionContext) -> foo.ExecutionOptions:
        """Immediate: the form shows the result."""
        return foo.ExecutionOptions(allow_immediate_execution=True, allow_delegated_execution=False)

    def __call__(self, sample: fo.Sample, *, repaint: bool = False) -> Any:
        """All that made the sample, as plain data; with ``repaint`` how it came out instead. See ``call``."""
        return self.call(dataset_with(sample), {"sample_id": sample.id, "repaint": repaint})

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if has_dataset(inputs, ctx):
            try:
                self._describe(inputs, chosen_sample(ctx))
            except DiffucurateError as error:
                notice = types.Error(label="There is nothing to show", description=str(error))
                refuse(inputs.view("no_provenance", notice), str(error))
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Paint again and compare"))

    def _describe(self, inputs: types.Object, sample: fo.Sample) -> None:
        origin = provenance(sample)
        if origin.warning:
            inputs.view("changed", types.Warning(label="Not what its fields say", description=origin.warning))
        _table(inputs, "image", "Image", of_image(origin))
        _table(inputs, "run", "Run", of_run(origin))
        try:
            recipe = recipe_of(sample)
        except DiffucurateError:
            return  # a prompt that names no class has no recipe of its own
        if problem := _model_problem(recipe):
            inputs.view("no_model", types.Warning(label="It cannot be painted again here", description=plain(problem)))
        row = inputs.h_stack("recipes", gap=1, wrap=True)
        _reuse(row, "reuse", "Use as a recipe", recipe)
        _reuse(row, "reuse_whole", "Use the whole recipe of its run", origin.recipe)

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        sample = chosen_sample(ctx)
        if not param(ctx, "repaint", True):  # in the App that is what the form's button says
            origin = provenance(sample)
            return Outcome(origin.warning or f"job {origin.job.job_id} of run {origin.run.key}", origin.to_dict())
        from diffucurate.plugin.generation.repaint import repaint

        (result,) = repaint(sample, progress=progress)
        facts = {name: getattr(result, name) for name in ("identical", "restored", "different", "levels", "verdict")}
        unlike = not (result.identical or result.restored)
        return Outcome(result.verdict, {"sample_id": sample.id, **facts}, warning=unlike)

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        if outcome.result["restored"]:
            yield ctx.ops.reload_dataset()

    def output(self, result: dict[str, Any]) -> types.Object:
        """Nothing below the verdict."""
        return types.Object()


def _reuse(row: types.Object, name: str, label: str, recipe: Recipe) -> None:
    """A button that opens the form of ``generate_images`` with a recipe."""
    params = {"recipe_from": PASTED, "recipe": recipe_text(recipe)}
    uri = uri_of("generate_images")
    row.btn(name, label, icon="edit", variant="outlined", on_click=uri, prompt=True, params=params)


def _model_problem(recipe: Recipe) -> str | None:
    """Why the model that painted the image cannot paint it again on this machine."""
    try:
        check_model(recipe)
    except DiffucurateError as error:
        return str(error)
    return None


def _table(inputs: types.Object, name: str, title: str, lines: dict[str, str]) -> None:
    view = types.TableView()
    view.add_column("what", label=title)
    view.add_column("text", label="")
    row = types.Object()
    row.str("what")
    row.str("text")
    rows = [{"what": what, "text": text} for what, text in lines.items()]
    inputs.list(name, row, default=rows, view=view)
