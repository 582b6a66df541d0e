"""Operator: measure labels against others that count as the truth. The form; ``plugin.evaluation`` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import ask_classes, choose_source, choose_target, param, refuse
from diffucurate.operators.forms.refusals import refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.comparison.start import check_pair
from diffucurate.plugin.store.as_detections import classes_of, sources_and_fields

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

#: FiftyOne's own panel, which opens on the result.
_PANEL = "model_evaluation_panel_builtin"

#: The figures of a class in the table of the result.
_FIGURES = ("precision", "recall", "ap", "ap50", "semantic_iou", "boundary_f")


class EvaluateLabels(LibraryOperator):
    """Labels and the truth -> FiftyOne's evaluation with our measures, in the Model Evaluation panel."""

    NAME: ClassVar[str] = "evaluate_labels"
    LABEL: ClassVar[str] = "Evaluate labels"
    DESCRIPTION: ClassVar[str] = "Measure labels against others that count as the truth, in FiftyOne's own evaluation"
    ICON: ClassVar[str] = "ssid_chart"
    RISK: ClassVar[Risk] = "medium"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        prediction: str,
        truth: str,
        *,
        classes: Sequence[str] | None = None,
        iou: float = 0.5,
        across_classes: bool = False,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; see ``call``."""
        params = {
            "prediction": prediction,
            "truth": truth,
            "classes": classes and list(classes),
            "iou": iou,
            "across_classes": across_classes,
        }
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Evaluate on"):
            self._labels(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Evaluate"))

    def _labels(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        present = sources_and_fields(ctx.dataset)
        if len(present) < 2:
            held = f"only {present[0]}" if present else "none"
            advice = f"Two sets of labels are needed, the dataset holds {held}; run 'Label images' with another source."
            notice = types.Error(label="Nothing to evaluate yet", description=advice)
            refuse(inputs.view("too_few_sources", notice), advice)
            return
        usual = "ground_truth" if "ground_truth" in present else present[-1]
        first = next(name for name in present if name != usual)
        prediction = choose_source(
            inputs,
            ctx,
            "prediction",
            label="Labels",
            description="These are measured ...",
            default=first,
            among=present,
        )
        truth = choose_source(
            inputs, ctx, "truth", label="Truth", description="... against these", default=usual, among=present
        )
        names = [name for name in (prediction, truth) if name is not None]
        ask_classes(
            inputs, ctx, list(dict.fromkeys(label for name in names for label in classes_of(ctx.dataset, name)))
        )
        inputs.float("iou", label="Least IoU", description="Of two objects that match", default=0.5)
        if prediction is not None and truth is not None:
            with refused(inputs, otherwise="truth"):
                check_pair(ctx.target_view(), prediction, truth, iou=param(ctx, "iou", 0.5), second="truth")
        inputs.bool(
            "across_classes",
            label="Match across classes",
            description="The confusion matrix then says which class is taken for which; average precision is COCO's "
            "only without",
            default=False,
        )

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.evaluation.evaluate import evaluate

        evaluation = evaluate(
            ctx.target_view(),
            param(ctx, "prediction"),
            param(ctx, "truth"),
            classes=param(ctx, "classes"),
            iou=param(ctx, "iou", 0.5),
            across_classes=param(ctx, "across_classes", False),
            progress=progress,
        )
        overall = evaluation.overall
        figures = {"AP50": overall.ap50, "semantic IoU": overall.semantic_iou, "recall": overall.recall}
        said = ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None)
        message = (
            f"{evaluation.prediction} against {evaluation.truth} on {counted(evaluation.samples, 'image')}: {said}"
        )
        if evaluation.without_masks:
            message += f"; matched by boxes, as there are no masks in {' and '.join(evaluation.without_masks)}"
        result = {
            "images": evaluation.samples,
            "matched_by": evaluation.matched_by,
            "left_out": evaluation.skipped,
            "evaluation": evaluation.eval_key,
            "rows": [_row(row) for row in evaluation.table()],
        }
        return Outcome(message, result)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        source = param(ctx, "prediction")
        return [
            step("Curate", "curate_samples", source=source),
            step("Train a segmenter", "train_segmenter", source=source),
            step("Write a report", "write_report", source=source),
        ]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """Open FiftyOne's panel, which lists the evaluation."""
        yield from super().finish(ctx, outcome)
        yield ctx.ops.open_panel(_PANEL, layout="horizontal")

    def output(self, result: dict[str, Any]) -> types.Object:
        outputs = super().output(result)
        rows = result.get("rows") or []
        if rows:
            table = types.TableView()
            for name in rows[0]:
                table.add_column(name, label=name)
            outputs.list("rows", types.Object(), label="Per class", view=table)
        return outputs


def _row(row: dict[str, Any]) -> dict[str, str]:
    """One line of the table as the App shows it: column -> text."""
    figures = {name.replace("_", " "): "-" if row[name] is None else f"{row[name]:.3f}" for name in _FIGURES}
    return {"class": row["label"], "truth": str(row["truth"]), "labels": str(row["predictions"]), **figures}
