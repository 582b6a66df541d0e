"""Operator: paint and label the images of a recipe, which is built in the form, pasted or read from a file.

The form around the recipe; ``forms.recipe_form`` draws the recipe's own fields, ``plugin.generation`` does the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError, DiffucurateError, InvalidSetting
from diffucurate.generator.files.strict_yaml import read_text
from diffucurate.generator.jobs.image_count import images_of
from diffucurate.generator.recipe.files import recipe_text
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms import recipe_params
from diffucurate.operators.forms.engine import ask_engine, chosen_engine
from diffucurate.operators.forms.fields import param, plain, refuse
from diffucurate.operators.forms.model import download_note
from diffucurate.operators.forms.model_numbers import complete_here
from diffucurate.operators.forms.recipe_defaults import fields_of
from diffucurate.operators.forms.recipe_form import (
    MONOSPACE,
    advanced_switch,
    build_recipe,
    first_problem,
    remember_classes,
    show_yaml,
)
from diffucurate.operators.forms.recipe_params import BUILT, FILE, PASTED
from diffucurate.operators.forms.run_settings import ask_batch_size, ask_count, ask_device, is_wrong
from diffucurate.operators.panel.panel import CurationPanel
from diffucurate.operators.runtime.next_steps import Step, another_source, step
from diffucurate.operators.runtime.operator import OPEN_WHEN_SHOWN, LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.fiftyone_private import slug
from diffucurate.plugin.generation.blacked_out import blacked_out, ended_runs
from diffucurate.plugin.generation.estimate import in_words, pace
from diffucurate.plugin.generation.load_recipes import recipes_in_text, without_converted
from diffucurate.plugin.generation.start import check_model, check_target

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

#: What the field for a pasted recipe begins with.
EXAMPLE = recipe_text(recipe_params.EXAMPLE)


class GenerateImages(LibraryOperator):
    """Recipe (built, pasted or a file), count -> images with heatmaps and attention labels in a dataset."""

    NAME: ClassVar[str] = "generate_images"
    LABEL: ClassVar[str] = "Generate images"
    DESCRIPTION: ClassVar[str] = "Paint a recipe's images (text to image), with heatmaps of its classes, and label them"
    ICON: ClassVar[str] = "auto_awesome"
    IN_TOOLBAR: ClassVar[bool] = True
    RISK: ClassVar[Risk] = "medium"
    PLACES: ClassVar[Mapping[str, str]] = {"size": "width", "sample": "sample_count"}
    REMEMBERS: ClassVar[bool] = True
    KEPT: ClassVar[str] = "What was painted until then is kept. Generate again to paint the rest."

    def __call__(
        self,
        *,
        recipe: str | None = None,
        recipe_path: str | None = None,
        count: int | None = None,
        batch_size: int | None = None,
        device: str | None = None,
        delegate: bool = False,
    ) -> Any:
        """The same from Python: ``recipe`` is YAML or JSON text, ``recipe_path`` a file; see ``call``."""
        params = {"recipe_from": PASTED, "recipe": recipe}
        if recipe_path is not None:
            params = {"recipe_from": FILE, "recipe_path": recipe_path}
        settings = {"count": count, "batch_size": batch_size, "device": device}
        return self.call(None, {**params, **settings}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        way = _way(ctx)
        origin = types.RadioGroup(orientation="horizontal")
        origin.add_choice(BUILT, label="Build a recipe here")
        origin.add_choice(PASTED, label="Write or paste a recipe")
        origin.add_choice(FILE, label="Read a recipe file")
        inputs.enum("recipe_from", origin.values(), default=way, view=origin)
        if way == BUILT:
            fields = fields_of(ctx.params)
            recipe = build_recipe(inputs, fields, ctx.dataset_name)
            recipes = [] if recipe is None else [recipe]
        else:
            recipes = self._read(inputs, ctx, way)
            advanced_switch(inputs)
        if param(ctx, "advanced", False) or is_wrong(ctx):
            self._settings(inputs, ctx)
        ask_engine(inputs, ctx)
        if way == BUILT:
            show_yaml(inputs, fields, ctx.dataset_name)
        self._describe(inputs, recipes, ctx)
        if way == BUILT:
            remember_classes(inputs, fields)
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Generate"))

    def _read(self, inputs: types.Object, ctx: ExecutionContext, way: str) -> list[Recipe]:
        """The field for a recipe's text or file, with what is wrong in it; no recipes while nothing is entered."""
        if way == FILE:
            field = inputs.str(
                "recipe_path",
                label="Recipe file",
                description="Full path of a YAML or JSON file on the machine that runs the App",
            )
        else:
            field = inputs.str(
                "recipe",
                label="Recipe",
                description="What the dataset should hold, in YAML or JSON",
                default=recipe_text(recipe_params.mapping_of(fields_of(ctx.params).values, ctx.dataset_name)),
                # Not CodeView: the App fetches that editor from the internet and shows none without it.
                view=types.TextFieldView(multiline=True, rows=16, componentsProps=MONOSPACE),
            )
        try:
            recipes = _recipes(ctx)
            for recipe in recipes:
                if recipe.captions is not None:
                    images_of(recipe)  # reads them
                check_model(without_converted(recipe))
            _check_targets(recipes)
        except DiffucurateError as error:
            refuse(field, str(error))
            return []
        if not recipes and (way == FILE or "recipe" in ctx.params):
            refuse(field, "give the full path of a recipe file" if way == FILE else "write or paste a recipe")
        notes = (download_note(model) for model in dict.fromkeys(recipe.model for recipe in recipes))
        if note := next((note for note in notes if note), None):
            inputs.view("model_warning", types.Warning(label=plain(note)))
        return recipes

    def _settings(self, inputs: types.Object, ctx: ExecutionContext) -> None:
        """Ask for the settings of the run, which are not part of the recipe."""
        for ask in (ask_count, ask_batch_size, ask_device):
            ask(inputs, ctx, space=4)

    def _describe(self, inputs: types.Object, recipes: Sequence[Recipe], ctx: ExecutionContext) -> None:
        """Say how many images are made and how long that takes, or why the run cannot start."""
        if _way(ctx) == BUILT and (problem := first_problem(inputs)):
            inputs.view("not_ready", types.Warning(label="Not ready yet", description=plain(problem)))
            return
        if not recipes:
            return
        recipe, *others = recipes
        images, exact = images_of(recipe)
        count = param(ctx, "count")
        now = min(images, count) if isinstance(count, int) and count > 0 else images
        number = ("" if exact else "Up to ") + counted(images, "image")
        remark = " The dataset exists: only what is missing is painted." if fo.dataset_exists(recipe.dataset) else ""
        remark += f" Now the first {now:,} of them." if now < images else ""
        each = f" from each of '{recipe.source.dataset or recipe.source.folder}'" if recipe.source is not None else ""
        text = f"{number}{each} for dataset '{recipe.dataset}'"
        text += f", labelled as {_enumerated(recipe.class_names)}.{remark}"
        if others:  # the other sections of a DiffuGen config
            text += f" Then those for {_datasets(other.dataset for other in others)}."
        complete, values, remarks = complete_here(recipe)
        time = "" if each else in_words(now, pace(complete, param(ctx, "device")))
        inputs.view("recipe_summary", types.Notice(label=plain(text), description=plain(f"{values} {time}".strip())))
        if remarks:
            inputs.view("remarks", types.Warning(label="\n".join(plain(remark) for remark in remarks)))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.generation.generate import generate

        recipes = _recipes(ctx, paint=True)
        if not recipes:
            raise InvalidSetting("recipe", None, "paste a recipe or name a recipe file")
        names = list(dict.fromkeys(recipe.dataset for recipe in recipes))
        existing = [name for name in names if fo.dataset_exists(name)]
        if not existing and _way(ctx) == BUILT and ctx.params.get("dataset_from") == recipe_params.CURRENT:
            raise DatasetError(f"dataset '{names[0]}' was deleted meanwhile; choose a new one")
        before = {name: len(fo.load_dataset(name)) for name in existing}
        settings = {name: param(ctx, name) for name in ("count", "batch_size", "device")}
        earlier = ended_runs(names)
        datasets = generate(recipes, **settings, engine=chosen_engine(ctx), progress=progress)
        added = {dataset.name: len(dataset) - before.get(dataset.name, 0) for dataset in datasets}
        first = datasets[0]
        message = f"{counted(sum(added.values()), 'image')} added to {_datasets(added)}"
        if len(added) == 1:
            message += f", which now holds {len(first):,}"
        for count in filter(None, (blacked_out(dataset, earlier) for dataset in datasets)):
            message += f"; {count}"
        return Outcome(message, {"dataset": first.name, "added": sum(added.values()), "images": len(first)})

    def filled(self, ctx: ExecutionContext) -> str | None:
        try:
            recipes = _recipes(ctx)
        except InvalidSetting:
            return None
        return recipes[0].dataset if recipes else None

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        return [
            step("Label by another source", "label_images", source=[another_source()]),
            step("Curate", "curate_samples"),
            step("Export", "export_samples"),
        ]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        name = outcome.result["dataset"]
        yield ctx.ops.reload_dataset() if ctx.dataset_name == name else ctx.ops.open_dataset(name)
        if outcome.result["added"] == outcome.result["images"]:  # the first images: the panel says what comes next
            panel = {"name": CurationPanel.NAME, "isActive": True, "layout": "horizontal"}
            yield ctx.trigger(OPEN_WHEN_SHOWN, {"address": f"/datasets/{slug(name)}", **panel})


def _check_targets(recipes: Sequence[Recipe]) -> None:
    """Refuse recipes of which none can be painted; of several sections those that cannot are left out.

    Raises:
        DatasetError: why the first cannot.
    """
    errors = []
    for recipe in recipes:
        try:
            check_target(recipe)
        except DatasetError as error:
            errors.append(error)
    if errors and len(errors) == len(recipes):
        raise errors[0]


def _enumerated(names: Sequence[str], most: int = 8) -> str:
    """The names; of more than ``most`` the last are only counted."""
    more = len(names) - most
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:most])} and {more} more"


def _datasets(names: Iterable[str]) -> str:
    """The names, each once and in quotes."""
    return _enumerated([f"'{name}'" for name in dict.fromkeys(names)])


def _way(ctx: ExecutionContext) -> str:
    """Where the recipe comes from: by ``recipe_from``, else by the parameter that is set."""
    inferred = FILE if ctx.params.get("recipe_path") else PASTED if ctx.params.get("recipe") else BUILT
    return str(param(ctx, "recipe_from", inferred))


def _recipes(ctx: ExecutionContext, *, paint: bool = False) -> list[Recipe]:
    """The recipes as the form has them, none while nothing is entered; learned words are converted to ``paint``.

    Raises:
        InvalidSetting: what is entered is no recipe.
    """
    way = _way(ctx)
    if way == BUILT:
        return [Recipe.from_mapping(recipe_params.mapping_of(ctx.params, ctx.dataset_name))]
    path = param(ctx, "recipe_path") if way == FILE else None
    text = read_text(path) if path else param(ctx, "recipe") if way == PASTED else None
    return recipes_in_text(text, ready=paint) if text else []
