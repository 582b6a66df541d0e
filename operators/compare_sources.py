"""Operator: compare two label sources. Knows the form; ``plugin.compare`` does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.operators.execution import LibraryOperator, Outcome
from diffucurate.operators.forms import choose_source, choose_target, given, refuse
from diffucurate.plugin.sources import sources_in

if TYPE_CHECKING:
    from diffucurate.plugin.progress import Listener


class CompareSources(LibraryOperator):
    """Two sources that the dataset holds -> how far they agree, per class, overall and on each sample."""

    NAME: ClassVar[str] = "compare_sources"
    LABEL: ClassVar[str] = "Compare sources"
    DESCRIPTION: ClassVar[str] = "Match the instances of two label sources and store how far they agree"
    ICON: ClassVar[str] = "compare"

    def __call__(self, samples: fo.Dataset | fo.DatasetView, a: str, b: str, *, delegate: bool = False) -> Any:
        """The same from Python; see ``call``."""
        return self.call(samples, {"a": a, "b": b}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Compare on"):
            self._sources(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Compare"))

    def _sources(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        present = sources_in(ctx.dataset)
        if len(present) < 2:
            held = f"only {present[0]}" if present else "none"
            advice = f"Two label sources are needed, the dataset holds {held}; run 'Label images' with another source."
            notice = types.Error(label="Nothing to compare yet", description=advice)
            refuse(inputs.view("too_few_sources", notice), advice)
        else:
            a = choose_source(inputs, ctx, "a", label="Source", description="Its instances are matched ...")
            other = next(source for source in present if source != a)
            b = choose_source(
                inputs, ctx, "b", label="Reference", description="... with those of this one", default=other
            )
            if a == b:
                refuse(inputs.get_property("b"), f"choose a source other than {a}")

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.compare import compare

        a, b = given(ctx, "a"), given(ctx, "b")
        comparison = compare(ctx.target_view(), a, b, progress=progress)
        agreement = round(comparison.agreement, 3)
        message = f"{a} and {b} agree to {agreement:.0%} on {comparison.samples} images"
        result = {
            "images": comparison.samples,
            "left_out": comparison.skipped,
            "agreement": agreement,
            "evaluation": comparison.eval_key,
            "rows": [_row(row, a, b) for row in comparison.table()],
        }
        return Outcome(message, result)

    def output(self, result: dict[str, Any]) -> types.Object:
        outputs = super().output(result)
        rows = result.get("rows") or []
        if rows:
            table = types.TableView()
            for name in rows[0]:
                table.add_column(name, label=name)
            outputs.list("rows", types.Object(), label="Per class", view=table)
        return outputs


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
