"""Operator: make one set of labels of those of several sources. The form; ``plugin.fusion`` does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.fusion.settings import FusionSettings
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import choose, choose_several, choose_target, listed, param, refuse
from diffucurate.operators.forms.refusals import is_refused, refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Outcome, Risk
from diffucurate.plugin.fusion.names import FUSED, check_name
from diffucurate.plugin.fusion.start import check_fuse
from diffucurate.plugin.store.as_detections import sources_and_fields

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

_DEFAULTS = FusionSettings()

_METHODS = {
    "auto": "EM where three sources have an object, else their mean",
    "weighted": "The mean, more confident sources counting more",
    "em": "EM: by how often each source is right; of two, what both have",
}


class FuseSources(LibraryOperator):
    """Two or more sources or fields that the dataset holds -> one set of labels, stored as a source of its own."""

    NAME: ClassVar[str] = "fuse_sources"
    LABEL: ClassVar[str] = "Fuse sources"
    DESCRIPTION: ClassVar[str] = "Make one set of labels of those of several sources or fields"
    ICON: ClassVar[str] = "merge"
    RISK: ClassVar[Risk] = "medium"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        sources: Sequence[str],
        *,
        into: str = FUSED,
        iou: float = _DEFAULTS.iou,
        lone: float | Mapping[str, float] = 0.4,
        method: str = _DEFAULTS.method,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; see ``call``."""
        params = {"sources": list(sources), "into": into, "iou": iou, "lone": lone, "method": method}
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Fuse on"):
            self._sources(inputs, ctx)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Fuse"))

    def _sources(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        present = sources_and_fields(ctx.dataset)
        if len(present) < 2:
            held = f"only {present[0]}" if present else "none"
            advice = f"Two sets of labels are needed, the dataset holds {held}; run 'Label images' with another source."
            notice = types.Error(label="Nothing to fuse yet", description=advice)
            refuse(inputs.view("too_few_sources", notice), advice)
            return
        description = "Their objects become one set; those tagged 'human' stay as they are"
        field = choose_several(inputs, "sources", present, label="Sources", description=description)
        sources = listed(param(ctx, "sources")) or []
        if unknown := [name for name in sources if name not in present]:
            refuse(field, f"{unknown[0]}: the dataset has no such labels; there are {', '.join(present)}")
        inputs.str("into", label="Name", description="Of the source that is made", default=FUSED)
        shares = (
            ("iou", "Least IoU", "Of what two sources take for one object"),
            ("lone", "Least confidence alone", "Of an object that one source alone has"),
        )
        for name, label, description in shares:
            inputs.float(name, label=label, description=description, default=getattr(_DEFAULTS, name))
        choose(inputs, "method", _METHODS, label="Outlines", description="How one is made of several", default="auto")
        with refused(inputs, otherwise="into"):
            check_name(ctx.dataset, param(ctx, "into", FUSED), sources)
        if is_refused(inputs):
            return
        with refused(inputs, otherwise="sources"):
            check_fuse(ctx.target_view(), sources, into=param(ctx, "into", FUSED), settings=_settings(ctx))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.fusion.fuse import fuse

        sources, into = listed(param(ctx, "sources")) or [], param(ctx, "into", FUSED)
        fusion = fuse(ctx.target_view(), sources, into=into, settings=_settings(ctx), progress=progress)
        found = ", ".join(f"{count} by {names}" for names, count in fusion.found_by.items())
        message = f"{counted(fusion.instances, 'instance')} in {into} on {counted(fusion.samples, 'image')}" + (
            f": {found}" if found else ""
        )
        if fusion.skipped:
            message += f"; {counted(fusion.skipped, 'image')} without the labels of a source"
        if fusion.left_out:
            message += (
                f"; {counted(len(fusion.left_out), 'instance')} that cannot be read, such as {fusion.left_out[0]}"
            )
        return Outcome(message, {"images": fusion.samples, "instances": fusion.instances, "skipped": fusion.skipped})

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        source = param(ctx, "into", FUSED)
        return [
            step("Curate", "curate_samples", source=source),
            step("Export", "export_samples", source=source),
            step("Train a segmenter", "train_segmenter", source=source),
        ]


def _settings(ctx: ExecutionContext) -> FusionSettings:
    return FusionSettings.model_validate(
        {name: param(ctx, name, getattr(_DEFAULTS, name)) for name in ("iou", "lone", "method")}
    )
