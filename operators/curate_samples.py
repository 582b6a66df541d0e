"""Operator: keep the good samples by rules, with a live count. The form; ``plugin.curation`` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError, InvalidSetting
from diffucurate.generator.text.counted import counted
from diffucurate.generator.text.parsing import parse_class_confidence, split_values
from diffucurate.operators.forms.fields import (
    ask_classes,
    choose,
    choose_several,
    choose_source,
    choose_target,
    listed,
    param,
    refuse,
)
from diffucurate.operators.forms.refusals import put
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.operators.runtime.uris import SHOW_SAVED_VIEW
from diffucurate.plugin.curation.curate import CURATED, check_name, curate, curations
from diffucurate.plugin.curation.duplicates import embeddings_in, usual_distance
from diffucurate.plugin.curation.rules import Rules, score_fields
from diffucurate.plugin.curation.selection import count
from diffucurate.plugin.store.classes import classes_in
from diffucurate.plugin.store.label_sources import comparable, instances_field

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

#: Where the form asks for a rule that the library knows under another name.
_PLACES = {"near_duplicates": "distance"}
#: Two fields side by side.
_HALF = 6


class CurateSamples(LibraryOperator):
    """Rules and a name -> tagged samples and a saved view of them."""

    NAME: ClassVar[str] = "curate_samples"
    LABEL: ClassVar[str] = "Curate samples"
    DESCRIPTION: ClassVar[str] = "Keep the samples that pass a few rules, without duplicates, as tags and a saved view"
    ICON: ClassVar[str] = "filter_alt"
    IN_TOOLBAR: ClassVar[bool] = True
    RISK: ClassVar[Risk] = "medium"

    def __call__(
        self, samples: fo.Dataset | fo.DatasetView, *, source: str, delegate: bool = False, **rules: Any
    ) -> Any:
        """The same from Python, with the rules of ``diffucurate.curate``; see ``call``."""
        if not isinstance(near := rules.get("near_duplicates", False), bool):
            rules |= {"near_duplicates": True, "distance": near}  # the form has a field for each
        return self.call(samples, {"source": source, **rules}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Curate"):
            source = choose_source(
                inputs, ctx, "source", label="Labels to judge", description="Whose labels the rules look at"
            )
            if source is not None:
                problem = self._count(inputs, ctx, source)
                self._rules(inputs, ctx, source)
                self._name(inputs, ctx)
                if problem is not None:
                    _blame(inputs, problem)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Curate"))

    def _rules(self, inputs: types.Object, ctx: ExecutionContext, source: str) -> None:
        _number(inputs, "min_confidence", "Minimum confidence", "Of an object, 0 to 1", space=_HALF)
        inputs.str(
            "class_confidence",
            label="Minimum confidence by class",
            description="In its place for these classes, as in: car=0.7, person=0.4",
            view=types.FieldView(space=_HALF),
        )
        self._agreement(inputs, ctx, source)
        names = classes_in(ctx.dataset, instances_field(ctx.dataset, source))
        ask_classes(inputs, ctx, names)
        choose(
            inputs,
            "reviewed",
            {"accepted": "Accepted: what a person called right", "not rejected": "All but what a person called wrong"},
            label="Reviewed",
            description="By the decisions of the panel 'Review'",
            required=False,
        )
        _number(inputs, "min_area", "Minimum area", "Of an object, as a share of the image, 0 to 1", space=_HALF)
        _number(inputs, "max_area", "Maximum area", "Of an object, as a share of the image, 0 to 1", space=_HALF)
        self._scores(inputs, ctx)
        inputs.int(
            "max_per_class",
            label="Most images per class",
            description="The best stay: by agreement, then by confidence. An image counts for every class it shows.",
        )
        _number(
            inputs,
            "backgrounds",
            "Share of backgrounds",
            "Of what is kept, at most so many images in which none of the classes was found, 0 to 1",
        )
        inputs.bool(
            "exact_duplicates",
            label="Leave out exact copies",
            description="Of images whose files are equal, the best stays",
            view=types.CheckboxView(space=_HALF),
        )
        self._near_duplicates(inputs, ctx)

    def _agreement(self, inputs: types.Object, ctx: ExecutionContext, source: str) -> None:
        others = [other for other in comparable(ctx.dataset) if other != source]
        if not others:
            return
        choose(
            inputs,
            "against",
            {other: other for other in others},
            label="Compared with",
            description="To keep only images on which the two agree; 'Compare sources' finds out how far they do",
            required=False,
        )
        if param(ctx, "against") is not None:
            _number(
                inputs, "min_agreement", "Minimum agreement", "0 (nothing in common) to 1 (the same)", required=True
            )

    def _scores(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        names = score_fields(ctx.dataset)
        if not names:
            return
        choose_several(
            inputs,
            "score_fields",
            names,
            label="Scores",
            description="Fields of the images that hold a number, such as those that 'Assess samples' writes",
        )
        for name in param(ctx, "score_fields", []):
            field = ctx.dataset.get_field(name)
            meaning = f"{field.description}. " if field is not None and field.description else ""
            _number(inputs, f"least_{name}", f"Least {name}", f"{meaning}No limit where empty", space=_HALF)
            _number(inputs, f"most_{name}", f"Greatest {name}", f"{meaning}No limit where empty", space=_HALF)

    def _near_duplicates(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        inputs.bool(
            "near_duplicates",
            label="Leave out near-duplicates",
            description="Of images that look almost the same, the best stays",
            view=types.CheckboxView(space=_HALF),
        )
        if not param(ctx, "near_duplicates", False):
            return
        known = embeddings_in(ctx.dataset)
        if known:
            choose(
                inputs,
                "embeddings",
                {name: name for name in known},
                label="Compared by",
                description="Embeddings that the dataset holds; thumbnails of the images where empty",
                required=False,
            )
        embeddings = param(ctx, "embeddings")
        ends = "0 (the same) to 1 (black and white)" if embeddings is None else "0 (the same) to 2 (opposite)"
        usual = usual_distance(embeddings)
        _number(inputs, "distance", "Nearer than", f"How far apart, {ends}; {usual} where empty")

    def _name(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        name = inputs.str(
            "save_as",
            label="Name",
            description=f"Of the tag and the saved view; '{CURATED}' where empty. Curating again replaces both.",
        )
        try:
            check_name(ctx.dataset, param(ctx, "save_as", CURATED))
        except DiffucurateError as error:
            refuse(name, getattr(error, "remedy", str(error)))

    def _count(self, inputs: types.Object, ctx: ExecutionContext, source: str) -> DiffucurateError | None:
        """Show the number of images that the rules keep above the rules' fields; returns what is wrong with the
        rules."""
        try:
            counted = count(ctx.target_view(), Rules(**_rules(ctx, source)))
        except DiffucurateError as error:
            return error
        pending = f"Found when it runs: {', '.join(counted.pending)}." if counted.pending else ""
        why = ". ".join(text for text in (counted.reasons(), pending) if text)
        notice = types.Notice if counted.kept else types.Warning
        inputs.view("count", notice(label=counted.headline(), description=why))
        return None

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        samples = ctx.target_view()
        kept = curate(samples, **_rules(ctx, param(ctx, "source")), save_as=param(ctx, "save_as"), progress=progress)
        curation = next(curation for curation in curations(ctx.dataset) if curation.name == kept.name)
        result = {"kept": len(kept), "of": len(samples), "view": kept.name, "rules": curation.rules}
        if curation.count is not None and curation.count.removed:
            result["dropped"] = curation.count.reasons().removeprefix("Dropped: ")
        return Outcome(f"{len(kept):,} of {counted(len(samples), 'sample')} kept as view '{kept.name}'", result)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        source = param(ctx, "source")
        return [
            step("Export", "export_samples", source=source),
            step("Train a segmenter", "train_segmenter", source=source),
            step("Undo", "undo_curation", curation=outcome.result["view"]),
        ]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.reload_dataset()
        ctx.dataset.reload()
        name = outcome.result["view"]
        # By its stages first: the App does not know the name of a view that was saved a moment ago.
        yield ctx.ops.set_view(view=ctx.dataset.load_saved_view(name))
        yield ctx.trigger(SHOW_SAVED_VIEW, {"name": name})


def _blame(inputs: types.Object, error: DiffucurateError) -> None:
    """Put an error on the field that it is about."""
    places = dict(_PLACES)
    if isinstance(error, InvalidSetting) and error.field.startswith("class_confidence."):
        places[error.field] = "class_confidence"
    if isinstance(error, InvalidSetting) and error.field.startswith("scores."):
        places[error.field] = error.field.replace("scores.", "least_")
    put(inputs, error, places, otherwise="against" if "compared" in str(error) else "source")


def _rules(ctx: ExecutionContext, source: str) -> dict[str, Any]:
    """The keyword arguments of ``curate`` that the form, or a caller from Python, has filled in."""
    names = ("min_confidence", "min_area", "max_area", "max_per_class", "backgrounds", "reviewed")
    rules = {name: param(ctx, name) for name in names}
    of_classes = param(ctx, "class_confidence")
    rules["class_confidence"] = (
        parse_class_confidence(split_values(of_classes)) if isinstance(of_classes, str) else of_classes or {}
    )
    rules |= {"source": source, "classes": listed(param(ctx, "classes")), "against": param(ctx, "against")}
    # Values left in the form from another choice do not count.
    rules["min_agreement"] = param(ctx, "min_agreement") if rules["against"] else None
    rules["scores"] = dict(param(ctx, "scores", {}))
    for name in param(ctx, "score_fields", []):
        limits = param(ctx, f"least_{name}"), param(ctx, f"most_{name}")
        if limits != (None, None):
            rules["scores"][name] = limits
    near = param(ctx, "near_duplicates", False)
    rules["near_duplicates"] = param(ctx, "distance", True) if near is True else near
    rules["embeddings"] = param(ctx, "embeddings") if near else None
    return rules | {"exact_duplicates": param(ctx, "exact_duplicates", False)}


def _number(
    inputs: types.Object, name: str, label: str, description: str, *, space: int = 12, required: bool = False
) -> None:
    inputs.float(name, label=label, description=description, required=required, view=types.FieldView(space=space))
