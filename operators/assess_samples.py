"""Operator: measure images and labels. The form; ``plugin.quality`` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.models.label_models import CLIP_MODELS
from diffucurate.generator.quality.label_scores import check_installed
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import choose, choose_target, param, refuse
from diffucurate.operators.forms.refusals import is_refused, refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.curation.rules import score_fields
from diffucurate.plugin.quality.checks import CHECKS, USUAL
from diffucurate.plugin.quality.start import check_assess
from diffucurate.plugin.store.as_detections import sources_and_fields

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class AssessSamples(LibraryOperator):
    """Checks and a source -> numbers on the samples."""

    NAME: ClassVar[str] = "assess_samples"
    LABEL: ClassVar[str] = "Assess samples"
    DESCRIPTION: ClassVar[str] = "Measure images and labels: numbers to sort, filter and curate by"
    ICON: ClassVar[str] = "speed"
    RISK: ClassVar[Risk] = "medium"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        *,
        source: str | None = None,
        checks: Sequence[str] = USUAL,
        against: str | None = None,
        folds: int | None = None,
        clip_model: str | None = None,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; see ``call``."""
        params: dict[str, Any] = {"source": source, "against": against, "folds": folds, "clip_model": clip_model}
        params |= {f"check_{name}": name in checks for name in CHECKS}
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Assess"):
            present = sources_and_fields(ctx.dataset)
            for check in CHECKS.values():
                inputs.bool(
                    f"check_{check.name}",
                    label=check.title,
                    description=check.meaning,
                    default=check.name in _usual(ctx),
                    view=types.CheckboxView(),
                )
            chosen = _chosen(ctx)
            if not chosen:
                refuse(inputs.get_property(f"check_{USUAL[0]}"), "choose at least one check")
            needs = {need for name in chosen for need in CHECKS[name].needs}
            if "source" in needs:
                _ask_source(inputs, ctx, "source", present, "Labels", "Whose labels are measured")
            if "noise" in chosen:
                inputs.int(
                    "folds",
                    label="Folds",
                    description="Train so many segmenters as the second source, each on all but a part of the images; "
                    "takes long, so run it in the background",
                )
            if "against" in needs and param(ctx, "folds") is None:
                others = [name for name in present if name != param(ctx, "source", next(iter(present), None))]
                _ask_source(inputs, ctx, "against", others, "Second source", "Whose labels say what is mistaken")
            if "clip_model" in needs:
                inputs.str(
                    "clip_model",
                    label="CLIP model",
                    description="A folder, or a hub id such as openai/clip-vit-base-patch32",
                    required=True,
                    view=types.AutocompleteView(
                        choices=[types.Choice(name, label=name) for name in CLIP_MODELS.downloaded()]
                    ),
                )
            self._check(inputs, ctx, chosen)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Assess"))

    def _check(self, inputs: types.Object, ctx: ExecutionContext, chosen: Sequence[str]) -> None:
        """Put on its field what keeps the checks from being made, once all that they need is named."""
        named = _named(ctx, chosen)
        lacking = [
            name for name, value in named.items() if value is None and not (name == "against" and "folds" in named)
        ]
        if "label_quality" in chosen:
            with refused(inputs, otherwise="check_label_quality"):
                check_installed()
        if named.get("clip_model") is not None:
            with refused(inputs, otherwise="clip_model"):
                CLIP_MODELS.locate(named["clip_model"])
        if lacking or is_refused(inputs):
            return
        with refused(inputs, {"checks": "check_flip"}, otherwise=next(iter(named), f"check_{USUAL[0]}")):
            check_assess(ctx.target_view(), checks=chosen, **named)

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.quality.assess import assess

        chosen = _chosen(ctx)
        assessment = assess(ctx.target_view(), checks=chosen, progress=progress, **_named(ctx, chosen))
        means = {name: None if mean is None else round(mean, 3) for name, mean in assessment.means.items()}
        message = f"{counted(assessment.samples, 'image')} measured: {', '.join(assessment.fields)}"
        if assessment.unreadable:
            unreadable = counted(len(assessment.unreadable), "image")
            message += f"; {unreadable} that cannot be read, such as {assessment.unreadable[0]}"
        return Outcome(message, {"images": assessment.samples, **means}, warning=bool(assessment.unreadable))

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        scores = [name for name in outcome.result if name in score_fields(ctx.dataset)]
        source = _named(ctx, _chosen(ctx)).get("source")
        return [step("Curate by these numbers", "curate_samples", source=source, score_fields=scores)]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.reload_dataset()


def _usual(ctx: ExecutionContext) -> tuple[str, ...]:
    """The checks that are chosen until a person chooses: those that the dataset has what they need for."""
    return USUAL if sources_and_fields(ctx.dataset) else USUAL[:1]


def _chosen(ctx: ExecutionContext) -> list[str]:
    usual = _usual(ctx)
    return [name for name in CHECKS if param(ctx, f"check_{name}", name in usual)]


def _named(ctx: ExecutionContext, chosen: Sequence[str]) -> dict[str, Any]:
    """What the chosen checks need, as it is filled in; the first source where none is."""
    needs = dict.fromkeys(need for name in chosen for need in CHECKS[name].needs)
    named: dict[str, Any] = {need: param(ctx, need) for need in needs}
    if "noise" in chosen and (folds := param(ctx, "folds")) is not None:
        named |= {"folds": folds, "against": None}
    if "source" in needs and named["source"] is None:
        named["source"] = next(iter(sources_and_fields(ctx.dataset)), None)
    return named


def _ask_source(
    inputs: types.Object, ctx: ExecutionContext, name: str, present: Sequence[str], label: str, description: str
) -> None:
    """A drop-down of label sources and fields of detections."""
    if not present:
        advice = "There are no such labels yet; run 'Label images' first, or choose other checks."
        refuse(inputs.view(f"no_{name}", types.Error(label="Labels are missing", description=advice)), advice)
        return
    default = present[0] if name == "source" else None
    choices = {each: each for each in present}
    field = choose(inputs, name, choices, label=label, description=description, default=default)
    chosen = param(ctx, name, default)
    if chosen not in present:
        refuse(field, f"choose one of {', '.join(present)}" if chosen is None else f"{chosen}: choose another")
