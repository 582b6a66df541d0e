"""Operator: one page on a dataset. The form; ``plugin.reporting`` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import choose, choose_target, param, refuse
from diffucurate.operators.forms.refusals import refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.curation.duplicates import embeddings_in
from diffucurate.plugin.reporting.report import check_report_path, report
from diffucurate.plugin.reporting.scope import scope_of
from diffucurate.plugin.store.label_sources import comparable

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class WriteReport(LibraryOperator):
    """Labels, a reference and a file -> one page of HTML."""

    NAME: ClassVar[str] = "write_report"
    LABEL: ClassVar[str] = "Write report"
    DESCRIPTION: ClassVar[str] = "One page on images and labels: counts, diversity, fidelity, agreement, calibration"
    ICON: ClassVar[str] = "summarize"
    RISK: ClassVar[Risk] = "high"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        path: str,
        *,
        source: str | None = None,
        reference: str | None = None,
        embeddings: str | None = None,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; ``reference`` is the name of a dataset. See ``call``."""
        params = {
            "path": path,
            "source": source,
            "reference": reference,
            "embeddings": embeddings,
            "overwrite": overwrite,
        }
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Report on"):
            self._path(inputs, ctx)
            optional = (
                (
                    "source",
                    comparable(ctx.dataset),
                    "Labels",
                    "Whose labels; those that were compared last where empty",
                ),
                ("reference", self._references(ctx), "Reference", "Images to compare with, such as photographs"),
                ("embeddings", embeddings_in(ctx.dataset), "Embeddings", "Simple histograms where empty"),
            )
            for name, present, label, description in optional:
                chosen = param(ctx, name)
                if not present and chosen is None:
                    continue
                choices = {each: each for each in present}
                field = choose(inputs, name, choices, label=label, description=description, required=False)
                if chosen is not None and chosen not in present:
                    refuse(field, f"'{chosen}' is not there; choose one of {', '.join(present) or 'none'}")
            with refused(inputs, otherwise="source"):
                scope_of(ctx.target_view(), param(ctx, "source"), None)
            self._check_vectors(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Write"))

    def _check_vectors(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        """Refuse a reference that lacks the embeddings which are compared."""
        embeddings, reference = param(ctx, "embeddings"), param(ctx, "reference")
        if embeddings is None or reference is None or reference not in self._references(ctx):
            return
        if embeddings not in embeddings_in(fo.load_dataset(reference)):
            message = f"'{reference}' has no embeddings '{embeddings}'; choose others, or none"
            refuse(inputs.properties["reference"], message)

    def _references(self, ctx: ExecutionContext) -> list[str]:
        return [name for name in fo.list_datasets() if name != ctx.dataset.name]

    def _path(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        field = inputs.str(
            "path",
            label="File",
            description="Full path of the page to write, on the machine that runs the App",
            required=True,
        )
        text = param(ctx, "path")
        if not text:
            return
        path, overwrite = Path(text).expanduser(), param(ctx, "overwrite", False)
        if not path.is_absolute():
            refuse(field, f"'{text}' is not a full path; write one such as {Path.home() / 'report.html'}")
            return
        try:
            check_report_path(path, overwrite=True)  # refused with overwriting too
            if path.exists():
                description = f"An earlier report is in {path}: replace it"
                inputs.bool("overwrite", label="Overwrite", description=description, default=False)
                if not overwrite:
                    refuse(field, f"'{text}' is there already; choose 'Overwrite' or another file")
        except DiffucurateError as error:
            refuse(field, str(error))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        name = param(ctx, "reference")
        summary = report(
            ctx.target_view(),
            param(ctx, "path"),
            source=param(ctx, "source"),
            reference=None if name is None else fo.load_dataset(name),
            embeddings=param(ctx, "embeddings"),
            overwrite=param(ctx, "overwrite", False),
            progress=progress,
        )
        figures = {figure: round(value, 4) for figure, value in summary.figures.items()}
        return Outcome(f"Report on {counted(summary.images, 'image')} written to {summary.path}", figures)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        return [step("Export", "export_samples", source=param(ctx, "source"))]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        return iter(())
