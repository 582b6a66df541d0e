"""Operator: the second opinion in one step. The form is a sentence; the library labels and compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.sources.registry import source_named, title_of
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import has_dataset, refuse
from diffucurate.operators.forms.model import labels_of_another_world
from diffucurate.operators.panel.choices import choose_in_open_panels
from diffucurate.operators.panel.next_step import second_source
from diffucurate.operators.panel.panel import CurationPanel
from diffucurate.operators.panel.state import AGREEMENT
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.store.label_sources import compared, sources_in

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class LabelAndCompare(LibraryOperator):
    """A dataset that one source has labelled -> labels of another source and their comparison."""

    NAME: ClassVar[str] = "label_and_compare"
    LABEL: ClassVar[str] = "Label and compare"
    DESCRIPTION: ClassVar[str] = "Label the images with a second source and compare it with the first, in one step"
    ICON: ClassVar[str] = "rule"
    RISK: ClassVar[Risk] = "high"

    def __call__(self, dataset: fo.Dataset, *, source: str | None = None, delegate: bool = False) -> Any:
        """The same from Python; see ``call``."""
        return self.call(dataset, {"source": source}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if has_dataset(inputs, ctx):
            try:
                first, second = _pair(ctx.dataset, ctx.params)
            except DatasetError as error:
                notice = types.Notice(label="Nothing to compare with", description=str(error))
                refuse(inputs.view("none", notice), str(error))
            else:
                images = counted(len(ctx.dataset), "image")
                label = f"{title_of(second)} looks at {images}, then is compared with {title_of(first)}"
                description = "With its usual settings; 'Label images' has them all, and other sources."
                inputs.view("about", types.Notice(label=label, description=description))
                if warning := labels_of_another_world(ctx.dataset, source_named(second), {}):
                    inputs.view("world", types.Warning(label=warning))
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Label and compare"))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.comparison.compare import compare
        from diffucurate.plugin.labelling.label import label

        first, second = _pair(ctx.dataset, ctx.params)
        samples = label(ctx.dataset, source=second, progress=progress)
        comparison = compare(ctx.dataset, first, second, progress=progress)
        message = f"{counted(len(samples), 'image')} labelled by {second}; {first} and {second} agree to "
        result = {"source": second, "images": comparison.samples, "agreement": round(comparison.agreement, 3)}
        return Outcome(f"{message}{comparison.agreement:.0%}", result)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        a, b = compared(ctx.dataset)[0]
        return [
            step("Curate by agreement", "curate_samples", source=a, against=b),
            step("Fuse both", "fuse_sources", sources=[a, b]),
        ]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """Show the result in the panel, as a comparison does."""
        choose_in_open_panels(ctx, CurationPanel.NAME, tab=AGREEMENT, pair=None, picked=None)
        yield from super().finish(ctx, outcome)
        yield ctx.ops.open_panel(CurationPanel.NAME, layout="horizontal", state={"state": {"tab": AGREEMENT}})


def _pair(dataset: fo.Dataset, params: Mapping[str, Any]) -> tuple[str, str]:
    """The source that the dataset has, and the one that is asked.

    Raises:
        DatasetError: nothing has labelled the dataset, or more than one source has.
    """
    present = sources_in(dataset)
    if len(present) != 1:
        have = f"{' and '.join(present)} have labelled it: 'Compare sources' does that" if present else "none has"
        raise DatasetError(f"this takes a dataset that one source has labelled; {have}")
    return present[0], params.get("source") or second_source(present[0])
