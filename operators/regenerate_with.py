"""Operator: paint chosen images again with other seeds or attributes. ``plugin.generation`` does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError, DiffucurateError, InvalidSetting, ModelError
from diffucurate.generator.text.counted import counted
from diffucurate.generator.text.parsing import split_values
from diffucurate.operators.forms.error_texts import on_field
from diffucurate.operators.forms.fields import has_dataset, param, refuse
from diffucurate.operators.forms.selection import chosen_ids
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.generation.estimate import in_words, pace
from diffucurate.plugin.generation.start import check_model
from diffucurate.plugin.provenance.painted_samples import painted_samples
from diffucurate.plugin.provenance.provenance import Provenance, ProvenanceReader

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

#: Where the seeds come from.
NEW, THESE, SAME = "new", "these", "same"


class RegenerateWith(LibraryOperator):
    """Samples, seeds, attributes -> new samples beside them, each linked to the one it varies."""

    NAME: ClassVar[str] = "regenerate_with"
    LABEL: ClassVar[str] = "Regenerate with"
    DESCRIPTION: ClassVar[str] = "Paint the chosen images again with other seeds or changed attributes"
    ICON: ClassVar[str] = "autorenew"
    RISK: ClassVar[Risk] = "medium"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        *,
        seeds: int | Sequence[int] | None = None,
        attributes: Mapping[str, str | Sequence[str]] | None = None,
        delegate: bool = False,
    ) -> Any:
        """The same from Python, with the arguments of ``diffucurate.regenerate``; see ``call``."""
        changes = {
            name: [values] if isinstance(values, str) else list(values) for name, values in (attributes or {}).items()
        }
        params: dict[str, Any] = {"samples": samples.values("id"), "attributes": changes}
        if seeds is None or isinstance(seeds, int):
            params |= {"seeds_from": SAME} if seeds is None else {"seeds_from": NEW, "count": seeds}
        else:
            params |= {"seeds_from": THESE, "seeds": ", ".join(map(str, seeds))}
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if has_dataset(inputs, ctx):
            try:
                dataset, samples = painted_samples(_chosen(ctx))
                reader = ProvenanceReader(dataset)
                provenances = [reader.provenance(sample) for sample in samples]
            except DiffucurateError as error:
                notice = types.Error(label="Nothing can be painted again", description=str(error))
                refuse(inputs.view("no_samples", notice), str(error))
            else:
                self._ask(inputs, ctx, dataset, provenances)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Regenerate"))

    def _ask(
        self, inputs: types.Object, ctx: ExecutionContext, dataset: fo.Dataset, provenances: Sequence[Provenance]
    ) -> None:
        from diffucurate.plugin.generation.regenerate import plan_of

        seeds = self._ask_seeds(inputs, ctx, len(provenances))
        attributes = self._ask_attributes(inputs, provenances)
        try:
            parts = plan_of(dataset, provenances, _seeds(ctx), _changes(ctx))
            for part in parts:
                check_model(part.recipe)
        except InvalidSetting as error:
            name = error.field.removeprefix("attributes.").partition("[")[0]
            refuse(attributes.get(name, seeds), on_field(error))
            return
        except ModelError as error:
            refuse(
                inputs.view("no_model", types.Error(label="Nothing can be painted", description=str(error))), str(error)
            )
            return
        todo = sum(len(part.todo) for part in parts)
        present = sum(len(part.wanted) for part in parts) - todo
        are = "is" if present == 1 else "are"
        remark = f" {counted(present, 'image')} of that kind {are} there already." if present else ""
        if not todo:
            remedy = "ask for other seeds or other values"
            notice = types.Warning(label="There is nothing to paint.", description=f"{remark} {remedy.capitalize()}.")
            refuse(inputs.view("nothing", notice), remedy)
            return
        time = " ".join(in_words(len(part.todo), pace(part.recipe)) for part in parts if part.todo)
        added = f"{counted(todo, 'image')} will be added to '{dataset.name}'.{remark}"
        inputs.view("summary", types.Notice(label=added, description=time))

    def _ask_seeds(self, inputs: types.Object, ctx: ExecutionContext, images: int) -> types.Property:
        """Ask for the seeds; returns the field that an error about them belongs to."""
        ways = types.RadioGroup(orientation="horizontal")
        ways.add_choice(NEW, label="New seeds")
        ways.add_choice(THESE, label="Seeds of my choice")
        ways.add_choice(SAME, label="The same seed")
        way = inputs.enum(
            "seeds_from", ways.values(), default=NEW, label=f"Paint {counted(images, 'image')} again with", view=ways
        )
        chosen = param(ctx, "seeds_from", NEW)
        if chosen == NEW:
            return inputs.int(
                "count",
                label="How many of each",
                description="Each with a seed that its prompt was not painted with yet",
                default=1,
            )
        if chosen == THESE:
            return inputs.str("seeds", label="Seeds", description="Whole numbers, such as 3, 7, 21", required=True)
        return way

    def _ask_attributes(self, inputs: types.Object, provenances: Sequence[Provenance]) -> dict[str, types.Property]:
        """Draw a field for the values of each attribute that the images have; returns them by name."""
        names = dict.fromkeys(name for provenance in provenances for name in provenance.job.attributes)
        group = inputs.obj("attributes", view=types.ObjectView()).type if names else None
        return {name: self._ask_attribute(group, name, provenances) for name in names}

    def _ask_attribute(self, group: types.Object, name: str, provenances: Sequence[Provenance]) -> types.Property:
        painted = [each.job.attributes for each in provenances]
        now = dict.fromkeys(values[name] for values in painted if name in values)
        listed = dict.fromkeys(value for each in provenances for value in each.recipe.listed_attributes.get(name, ()))
        offered = types.AutocompleteView(
            choices=[types.Choice(value, label=value) for value in {**listed, **now}], allow_duplicates=False
        )
        return group.list(
            name,
            types.String(),
            label=name.replace("_", " ").capitalize(),
            description=f"Now {', '.join(now)}. Leave empty to keep that; add other values with Enter.",
            view=offered,
        )

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.generation.regenerate import regenerate

        samples = _chosen(ctx)
        before = set(ctx.dataset.values("id"))
        view = regenerate(samples, seeds=_seeds(ctx), attributes=_changes(ctx), progress=progress)
        added = [sample_id for sample_id in view.values("id") if sample_id not in before]
        message = f"{counted(len(added), 'image')} added, each linked to the one it varies"
        return Outcome(message, {"dataset": ctx.dataset.name, "added": len(added), "samples": added})

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        return [step("Curate", "curate_samples"), step("Export", "export_samples")]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.reload_dataset()
        if outcome.result["samples"]:
            yield ctx.ops.set_view(view=ctx.dataset.select(outcome.result["samples"]))


def _chosen(ctx: ExecutionContext) -> fo.DatasetView:
    ids = chosen_ids(ctx)
    if not ids:
        raise DatasetError("no image is selected; select some in the grid, or open one")
    return ctx.dataset.select(ids, ordered=True)


def _seeds(ctx: ExecutionContext) -> Any:
    """As ``regenerate`` takes them; a part that is no number stays as it is, for ``regenerate`` to refuse."""
    way = param(ctx, "seeds_from", NEW)
    if way == NEW:
        return param(ctx, "count", 1)
    if way == SAME:
        return None
    parts = split_values(param(ctx, "seeds"))
    return [int(part) if part.lstrip("-").isdecimal() else part for part in parts]


def _changes(ctx: ExecutionContext) -> dict[str, Any]:
    return {name: values for name, values in param(ctx, "attributes", {}).items() if values}
