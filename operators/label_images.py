"""Operator: label images by one source or several. Knows the form; ``plugin.labelling.label`` does the work.

Which sources there are, and what each of them asks for, is in ``generator.sources``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError, DiffucurateError, InvalidSetting
from diffucurate.generator.labels.settings import SourceSettings
from diffucurate.generator.sources import SourceSpec
from diffucurate.generator.sources.registry import all_sources, find_source, source_named
from diffucurate.generator.sources.spec import Workload
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.engine import ask_engine, chosen_engine
from diffucurate.operators.forms.fields import choose_target, listed, param, refuse
from diffucurate.operators.forms.label_preview import preview_sample, show_preview
from diffucurate.operators.forms.label_settings import (
    ask_settings,
    asked,
    read_settings,
    settings_line,
    settings_params,
    settings_problem,
)
from diffucurate.operators.forms.model import labels_of_another_world
from diffucurate.operators.forms.refusals import is_refused, put
from diffucurate.operators.forms.source_options import ask_options, option_problems, read_options
from diffucurate.operators.runtime.next_steps import Step, another_source, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.labelling.plan import plan
from diffucurate.plugin.labelling.start import check_label
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.label_sources import sources_in

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

#: Up to so many images the form looks whether the heatmaps that they keep are still there.
_LOOKED_UP = 1_000

#: What is labelled by where nothing was chosen.
_USUAL = all_sources()[0].name


class LabelImages(LibraryOperator):
    """Sources, target view, classes, settings -> masks, polygons and instances of each source."""

    NAME: ClassVar[str] = "label_images"
    LABEL: ClassVar[str] = "Label images"
    DESCRIPTION: ClassVar[str] = "Add masks, polygons and instances from heatmaps, YOLO or other label sources"
    ICON: ClassVar[str] = "label"
    IN_TOOLBAR: ClassVar[bool] = True
    RISK: ClassVar[Risk] = "high"
    REMEMBERS: ClassVar[bool] = True

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        *,
        source: str | Sequence[str],
        weights: str | None = None,
        model: str | None = None,
        refiner: str | None = None,
        tokens: list[str] | None = None,
        contrast: bool = True,
        by: str | None = None,
        background: list[str] | None = None,
        segmenter: str | None = None,
        detector: str | None = None,
        class_map: Mapping[str, str] | None = None,
        classes: list[str] | None = None,
        settings: Mapping[str, SourceSettings] | None = None,
        delegate: bool = False,
    ) -> Any:
        """The same from Python: ``source`` is one or several, ``settings`` are by source, ``contrast`` is for images
        with a prompt; see ``call``."""
        sources = [source] if isinstance(source, str) else list(source)
        params: dict[str, Any] = {
            "source": sources,
            "weights": weights,
            "model": model,
            "refiner": refiner,
            "tokens": tokens,
            "contrast": contrast,
            "by": by,
            "background": background,
            "segmenter": segmenter,
            "detector": detector,
            "class_map": None if class_map is None else [f"{name}={label}" for name, label in class_map.items()],
            "classes": classes,
        }
        for name, values in (settings or {}).items():
            params |= settings_params(source_named(name), values)
        return self.call(samples, params, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Label"):
            samples = ctx.target_view()
            sources = self._choose_sources(inputs, ctx)
            self._tell(inputs, ctx, samples, sources)
            self._classes(inputs, ctx)
            self._settings(inputs, ctx, samples, sources)
            if any(not spec.needs_database for spec in sources):
                ask_engine(inputs, ctx)
            self._check(inputs, ctx, samples, sources)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Label"))

    def _choose_sources(self, inputs: types.Object, ctx: ExecutionContext) -> list[SourceSpec[Any]]:
        chosen = [spec for name in _sources(ctx) if (spec := find_source(name)) is not None]
        inputs.view("sources", types.Header(label="Source", description="Where the labels come from", divider=True))
        for spec in all_sources():
            box = inputs.bool(
                f"use_{spec.name}",
                default=spec in chosen,
                view=types.CheckboxView(label=spec.title, description=spec.summary),
            )
            if not chosen:
                refuse(box, "choose at least one source")
            elif spec in chosen and spec.missing is not None:
                refuse(box, f"on the machine that runs the App, {spec.missing}")
        return chosen

    def _tell(
        self,
        inputs: types.Object,
        ctx: ExecutionContext,
        samples: fo.Dataset | fo.DatasetView,
        sources: Sequence[SourceSpec[Any]],
    ) -> None:
        """What will happen, in numbers; nothing is looked at but the database."""
        plans = [(spec, plan(samples, spec.name)) for spec in sources]
        if plans and not plans[0][1].images:
            message = "There are no images to label here; choose another target"
            refuse(inputs.view("no_images", types.Error(label=message)), message)
            return
        for spec, counts in plans:
            workload = Workload(counts.images, counts.mapped, read_options(ctx, spec))
            sentence, box = spec.what_happens(workload), types.Notice
            if counts.labelled:
                have = "image has" if counts.labelled == 1 else "images have"
                sentence += f" {counts.labelled} {have} labels from {spec.title} already, which are replaced."
                box = types.Warning
            inputs.view(f"{spec.name}_plan", box(label=sentence))
            if warning := labels_of_another_world(samples, spec, workload.options):
                inputs.view(f"{spec.name}_world", types.Warning(label=warning))

    def _classes(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        known = list(read_classes(ctx.dataset))
        classes = inputs.list(
            "classes",
            types.String(),
            label="Classes",
            description=f"What to label; where empty, what the dataset knows: {', '.join(known) or 'nothing yet'}",
            view=types.AutocompleteView(choices=[types.Choice(name, label=name) for name in known]),
        )
        if not known and not listed(param(ctx, "classes")):
            refuse(classes, "this dataset has no classes yet; name at least one, such as car")

    def _settings(
        self,
        inputs: types.Object,
        ctx: ExecutionContext,
        samples: fo.Dataset | fo.DatasetView,
        sources: Sequence[SourceSpec[Any]],
    ) -> None:
        """Folded away until they are asked for, or one of them is wrong."""
        problems = _problems(ctx, samples, sources)
        inputs.bool(
            "show_settings",
            default=False,
            view=types.SwitchView(label="Show settings", description="Good for most images as they are"),
        )
        if not param(ctx, "show_settings", False) and not problems:
            return
        for spec in sources:
            header = types.Header(label=spec.title, description=spec.classes, divider=True)
            inputs.view(f"{spec.name}_settings", header)
            names = asked(ctx, spec)
            if spec.keeps_maps:  # the preview stands below the setting that matters most
                ask_settings(inputs, ctx, spec, names.pop(0))
                self._preview(inputs, ctx, samples, spec)
            ask_settings(inputs, ctx, spec, *names)
            ask_options(inputs, spec)
        for name in problems.keys() & inputs.properties.keys():
            refuse(inputs.properties[name], problems[name])

    def _check(
        self,
        inputs: types.Object,
        ctx: ExecutionContext,
        samples: fo.Dataset | fo.DatasetView,
        sources: Sequence[SourceSpec[Any]],
    ) -> None:
        """Put on its field what a source refuses of all that is filled in together."""
        for spec in sources:
            if is_refused(inputs):
                return
            options = read_options(ctx, spec)
            if len(samples) > _LOOKED_UP and spec.keeps_maps and not options.get("model"):
                continue  # whether each image's heatmaps are still there is seen when it is labelled
            problem = source_problem(ctx, samples, spec, options)
            if problem is not None and isinstance(problem, InvalidSetting) and problem.field in _hidden(spec, inputs):
                ask_options(inputs, spec)  # folded away until now
            if problem is not None:
                put(inputs, problem, otherwise=f"use_{spec.name}")

    def _preview(
        self,
        inputs: types.Object,
        ctx: ExecutionContext,
        samples: fo.Dataset | fo.DatasetView,
        spec: SourceSpec[Any],
    ) -> None:
        inputs.bool(
            "preview_on",
            default=False,
            view=types.SwitchView(
                label="Preview on one image",
                description="The selected image, else the first one; nothing is saved",
            ),
        )
        if param(ctx, "preview_on", False) and settings_problem(ctx, spec) is None:
            sample = preview_sample(ctx, samples)
            show_preview(inputs, sample, read_settings(ctx, spec), listed(param(ctx, "classes")))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.generator.progress import step_of
        from diffucurate.plugin.labelling.label import label

        samples, sources = ctx.target_view(), _sources(ctx)
        unknown = [name for name in sources if find_source(name) is None]
        if unknown or not sources:
            known = ", ".join(spec.name for spec in all_sources())
            raise InvalidSetting("source", unknown or None, f"use one or more of {known}")
        specs = [source_named(name) for name in sources]
        settings = {spec.name: read_settings(ctx, spec) for spec in specs}
        classes, found = listed(param(ctx, "classes")), dict[str, int]()
        engine = chosen_engine(ctx)
        for index, spec in enumerate(specs):
            options, step = read_options(ctx, spec), step_of(progress, index, len(specs))
            try:
                label(
                    samples,
                    source=spec.name,
                    settings=settings[spec.name],
                    classes=classes,
                    engine=None if spec.needs_database else engine,
                    progress=step,
                    **options,
                )
            except DiffucurateError as error:
                if not found:
                    raise
                raise DatasetError(f"labelled by {' and '.join(found)}, but not by {spec.name}: {error}") from error
            found[spec.name] = samples.count(f"{field_names.instances(spec.name)}.detections")
        each = [f"by {name}: {counted(count, 'instance')}" for name, count in found.items()]
        result = {
            "source": ", ".join(sources),
            "images": len(samples),
            "instances": sum(found.values()),
            "settings": {name: chosen.model_dump() for name, chosen in settings.items()},
        }
        return Outcome(f"{counted(len(samples), 'image')} labelled {', '.join(each)}", result)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        new, held = list(outcome.result["settings"])[-1], sources_in(ctx.dataset)
        others = [name for name in held if name != new]
        first = step("Label by another source", "label_images", source=[another_source(new)])
        if others:
            first = step(f"Compare {others[0]} and {new}", "compare_sources", a=others[0], b=new)
        return [first, step("Curate", "curate_samples", source=new), step("Export", "export_samples", source=new)]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.reload_dataset()
        shown = [field_names.instances(name) for name in outcome.result["settings"]]
        yield ctx.ops.set_active_fields([*(field for field in ctx.active_fields or [] if field not in shown), *shown])

    def output(self, result: dict[str, Any]) -> types.Object:
        outputs = super().output(result)
        for name, values in result.get("settings", {}).items():
            spec = source_named(name)
            line = types.LabelValueView(read_only=True)
            label, default = f"{spec.title} settings", settings_line(spec, values)
            outputs.str(f"{name}_settings", label=label, default=default, view=line)
        return outputs


def _sources(ctx: ExecutionContext) -> list[str]:
    """The sources ticked in the form; those of ``source`` are ticked to begin with, by default the first one there is.

    Names that a call from Python gives and that no source has are among them.
    """
    named = listed(param(ctx, "source", _USUAL)) or []
    every = dict.fromkeys([*(spec.name for spec in all_sources()), *named])
    return [name for name in every if param(ctx, f"use_{name}", name in named)]


def source_problem(
    ctx: ExecutionContext, samples: fo.Dataset | fo.DatasetView, spec: SourceSpec[Any], options: Mapping[str, Any]
) -> DiffucurateError | None:
    """Why a source cannot do what is filled in, None where it can."""
    try:
        check_label(samples, spec.name, options, read_settings(ctx, spec), listed(param(ctx, "classes")))
    except DiffucurateError as error:
        return error
    return None


def _hidden(spec: SourceSpec[Any], inputs: types.Object) -> set[str]:
    """The options of a source that the form does not show."""
    return {option.name for option in spec.options} - inputs.properties.keys()


def _problems(
    ctx: ExecutionContext, samples: fo.Dataset | fo.DatasetView, sources: Sequence[SourceSpec[Any]]
) -> dict[str, str]:
    """Parameter -> what is wrong with it, of those that the form folds away."""
    problems: dict[str, str] = {}
    for spec in sources:
        problem = settings_problem(ctx, spec)
        problems |= {} if problem is None else dict([problem])
        problems |= option_problems(ctx, spec)
        options = read_options(ctx, spec)
        if spec.keeps_maps and not options.get("model") and not options.get("tokens"):
            foreign = plan(samples, spec.name).foreign
            if foreign:
                problems["model"] = f"name the model that is to look at the {foreign} images without heatmaps"
    return problems
