"""Operator: compare the labels of any two sources or fields. The form; ``plugin.comparison`` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import ask_classes, choose_source, choose_target, param, refuse
from diffucurate.operators.forms.refusals import refused
from diffucurate.operators.panel.choices import choose_in_open_panels
from diffucurate.operators.panel.panel import CurationPanel
from diffucurate.operators.panel.state import AGREEMENT
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.comparison.start import check_pair
from diffucurate.plugin.store.as_detections import classes_of, sources_and_fields
from diffucurate.plugin.store.label_sources import sources_in

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class CompareSources(LibraryOperator):
    """Two sources or fields that the dataset holds -> how far they agree, per class, overall and on each sample."""

    NAME: ClassVar[str] = "compare_sources"
    LABEL: ClassVar[str] = "Compare sources"
    DESCRIPTION: ClassVar[str] = "Match the instances of two sources or fields and store how far they agree"
    ICON: ClassVar[str] = "compare"
    IN_TOOLBAR: ClassVar[bool] = True
    RISK: ClassVar[Risk] = "medium"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        a: str,
        b: str,
        *,
        classes: Sequence[str] | None = None,
        iou: float = 0.5,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; see ``call``."""
        return self.call(samples, {"a": a, "b": b, "classes": classes and list(classes), "iou": iou}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Compare on"):
            self._sources(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Compare"))

    def _sources(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        present = sources_and_fields(ctx.dataset)
        if len(present) < 2:
            held = f"only {present[0]}" if present else "none"
            advice = f"Two sets of labels are needed, the dataset holds {held}; run 'Label images' with another source."
            notice = types.Error(label="Nothing to compare yet", description=advice)
            refuse(inputs.view("too_few_sources", notice), advice)
        else:
            first = "These instances are matched ..."
            a = choose_source(inputs, ctx, "a", label="Labels", description=first, among=present)
            other = _partner(a, sources_in(ctx.dataset), present)
            second = "... with these"
            b = choose_source(inputs, ctx, "b", label="Reference", description=second, default=other, among=present)
            self._matching(inputs, ctx, [name for name in (a, b) if name is not None])
            if a is not None and b is not None:
                with refused(inputs, otherwise="b"):
                    check_pair(ctx.target_view(), a, b, iou=param(ctx, "iou", 0.5))

    def _matching(self, inputs: types.Object, ctx: ExecutionContext, names: Sequence[str]) -> None:
        known = list(dict.fromkeys(label for name in names for label in classes_of(ctx.dataset, name)))
        ask_classes(inputs, ctx, known)
        inputs.float("iou", label="Least IoU", description="Of two objects that match", default=0.5)

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.comparison.compare import compare
        from diffucurate.plugin.comparison.marks import kinds_sentence

        a, b = param(ctx, "a"), param(ctx, "b")
        comparison = compare(
            ctx.target_view(), a, b, classes=param(ctx, "classes"), iou=param(ctx, "iou", 0.5), progress=progress
        )
        agreement = round(comparison.agreement, 3)
        message = f"{a} and {b} agree to {agreement:.0%} on {counted(comparison.samples, 'image')}"
        if comparison.without_masks:
            message += f"; matched by boxes, as there are no masks in {' and '.join(comparison.without_masks)}"
        for source, names in comparison.unseen.items():
            message += f"; {', '.join(names)} were not compared: {source} knows no such class or was not asked"
        if comparison.kinds:
            message += f"; label tags say how they differ: {kinds_sentence(comparison.kinds)}"
        result = {
            "images": comparison.samples,
            "matched_by": comparison.matched_by,
            "left_out": comparison.skipped,
            "agreement": agreement,
            "evaluation": comparison.eval_key,
            "rows": [_row(row, a, b) for row in comparison.table()],
        }
        return Outcome(message, result)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        a, b = param(ctx, "a"), param(ctx, "b")
        return [
            step("Curate by agreement", "curate_samples", source=a, against=b),
            step("Fuse both", "fuse_sources", sources=[a, b]),
            step("Evaluate", "evaluate_labels", prediction=a, truth=b),
        ]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """Show the result in the panel, which opens on the latest comparison."""
        choose_in_open_panels(ctx, CurationPanel.NAME, tab=AGREEMENT, pair=None, picked=None)
        yield from super().finish(ctx, outcome)
        # A Python panel finds what it reads as its state below this key of what the App keeps for a panel.
        state = {"state": {"tab": AGREEMENT}}
        yield ctx.ops.open_panel(CurationPanel.NAME, layout="horizontal", state=state)

    def output(self, result: dict[str, Any]) -> types.Object:
        outputs = super().output(result)
        rows = result.get("rows") or []
        if rows:
            table = types.TableView()
            for name in rows[0]:
                table.add_column(name, label=name)
            outputs.list("rows", types.Object(), label="Per class", view=table)
        return outputs


def _partner(a: str | None, sources: Sequence[str], present: Sequence[str]) -> str:
    """The default partner of ``a``: another source, else the ground truth, else any other field."""
    others = [name for name in present if name != a]
    return next((name for name in (*sources, "ground_truth") if name in others), others[0])


def _row(row: dict[str, Any], a: str, b: str) -> dict[str, str]:
    """One line of the table as the App shows it: column -> text."""

    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    return {
        "class": row["label"],
        "both": str(row["matched"]),
        f"only {a}": str(row["only_a"]),
        f"only {b}": str(row["only_b"]),
        "mean IoU": share(row["mean_iou"]),
        "AP": share(row["ap"]),
    }
