"""Operator: keep the good samples by rules. Knows the form; ``plugin.curate`` does the work."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.operators.execution import LibraryOperator, Messages, Outcome
from diffucurate.operators.forms import choose, choose_source, choose_target, given, listed, refuse
from diffucurate.plugin import fields
from diffucurate.plugin.classes import read_classes
from diffucurate.plugin.sources import sources_in

if TYPE_CHECKING:
    from diffucurate.plugin.progress import Listener


class CurateSamples(LibraryOperator):
    """Rules and a name -> tagged samples and a saved view of them."""

    NAME: ClassVar[str] = "curate_samples"
    LABEL: ClassVar[str] = "Curate samples"
    DESCRIPTION: ClassVar[str] = "Keep the samples whose labels pass a few rules, as tags and a saved view"
    ICON: ClassVar[str] = "filter_alt"

    def __call__(
        self, samples: fo.Dataset | fo.DatasetView, *, source: str, delegate: bool = False, **rules: Any
    ) -> Any:
        """The same from Python, with the rules of ``diffucurate.curate``; see ``call``."""
        return self.call(samples, {"source": source, **rules}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Curate"):
            source = choose_source(inputs, ctx, "source", label="Source", description="Whose labels the rules look at")
            if source is not None:
                self._rules(inputs, ctx, source)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Curate"))

    def _rules(self, inputs: types.Object, ctx: ExecutionContext, source: str) -> None:
        inputs.float("min_confidence", label="Minimum confidence", description="0 to 1", min=0.0, max=1.0)
        self._agreement(inputs, ctx, source)
        inputs.list(
            "classes",
            types.String(),
            label="Classes",
            description="Only these; all where empty",
            view=types.AutocompleteView(
                choices=[types.Choice(name, label=name) for name in read_classes(ctx.dataset)], allow_user_input=False
            ),
        )
        inputs.float("min_area", label="Minimum area", description="Share of the image, 0 to 1", min=0.0, max=1.0)
        largest = inputs.float(
            "max_area", label="Maximum area", description="Share of the image, 0 to 1", min=0.0, max=1.0
        )
        low, high = given(ctx, "min_area"), given(ctx, "max_area")
        if low is not None and high is not None and low > high:
            refuse(largest, f"the maximum area {high} is below the minimum {low}")
        inputs.str(
            "view",
            label="Name",
            description="Of the tag and the saved view; 'curated' where empty. Curating again replaces both.",
        )

    def _agreement(self, inputs: types.Object, ctx: ExecutionContext, source: str) -> None:
        others = [other for other in sources_in(ctx.dataset) if other != source]
        if not others:
            return
        partner = choose(
            inputs,
            "against",
            {other: other for other in others},
            label="Compared with",
            description="To keep only samples on which the two agree",
            required=False,
        )
        against = given(ctx, "against")
        if against is None:
            return
        if not any(ctx.dataset.has_sample_field(fields.agreement(*pair)) for pair in permutations((source, against))):
            refuse(partner, f"{source} and {against} were not compared yet; run 'Compare sources' first")
        inputs.float(
            "min_agreement",
            label="Minimum agreement",
            description="Mean IoU of what the two found, 0 to 1",
            min=0.0,
            max=1.0,
            required=True,
        )

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.curate import curate

        samples, against = ctx.target_view(), given(ctx, "against")
        kept = curate(
            samples,
            source=given(ctx, "source"),
            min_confidence=given(ctx, "min_confidence"),
            min_agreement=given(ctx, "min_agreement") if against else None,
            against=against,
            classes=listed(given(ctx, "classes")),
            min_area=given(ctx, "min_area"),
            max_area=given(ctx, "max_area"),
            view=given(ctx, "view"),
        )
        message = f"{len(kept)} of {len(samples)} samples kept as view '{kept.name}'"
        return Outcome(message, {"kept": len(kept), "of": len(samples), "view": kept.name})

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.reload_dataset()
        # By its stages: the App does not know the name of a view that was saved a moment ago.
        ctx.dataset.reload()
        yield ctx.ops.set_view(view=ctx.dataset.load_saved_view(outcome.result["view"]))
