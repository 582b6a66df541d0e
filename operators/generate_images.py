"""Operator: paint and label the images of a recipe. Knows the form; ``plugin.generate`` does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.prompts import count_jobs
from diffucurate.generator.recipe import Recipe
from diffucurate.operators.execution import LibraryOperator, Messages, Outcome
from diffucurate.operators.forms import given, refuse

if TYPE_CHECKING:
    from diffucurate.plugin.progress import Listener

#: What the form begins with: small enough to try at once.
EXAMPLE = """\
dataset: my-streets
model: tiny
size: [128, 128]
steps: 20
seeds: 2
classes:
  car: [car]
  bus: [bus]
templates:
  - "a {colour} {object} on a road at {time}"
attributes:
  object: [car, bus]
  colour: [red, blue]
  time: [noon, night]
"""

MONOSPACE = {"field": {"sx": {"& textarea": {"fontFamily": "monospace", "fontSize": 13, "whiteSpace": "pre"}}}}

PASTED, FILE = "pasted", "file"


class GenerateImages(LibraryOperator):
    """Recipe (pasted or a file), limit -> images with heatmaps and attention labels in a dataset."""

    NAME: ClassVar[str] = "generate_images"
    LABEL: ClassVar[str] = "Generate images"
    DESCRIPTION: ClassVar[str] = "Paint the images of a recipe and label them from the model's attention"
    ICON: ClassVar[str] = "auto_awesome"

    def __call__(
        self,
        *,
        recipe: str | None = None,
        recipe_path: str | None = None,
        limit: int | None = None,
        delegate: bool = False,
    ) -> Any:
        """The same from Python: ``recipe`` is YAML or JSON text, ``recipe_path`` a file; see ``call``."""
        if recipe_path is not None:
            params: dict[str, Any] = {"recipe_from": FILE, "recipe_path": recipe_path}
        else:
            params = {"recipe_from": PASTED, "recipe": recipe}
        return self.call(None, {**params, "limit": limit}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        origin = types.RadioGroup(orientation="horizontal")
        origin.add_choice(PASTED, label="Write or paste a recipe")
        origin.add_choice(FILE, label="Read a recipe file")
        inputs.enum("recipe_from", origin.values(), default=PASTED, label="Recipe", view=origin)
        if given(ctx, "recipe_from", PASTED) == FILE:
            field = inputs.str(
                "recipe_path",
                label="Recipe file",
                description="Full path of a YAML or JSON file on the machine that runs the App",
                required=True,
            )
        else:
            field = inputs.str(
                "recipe",
                label="Recipe",
                description="What the dataset should hold, in YAML or JSON",
                default=EXAMPLE,
                required=True,
                # Not CodeView: the App fetches that editor from the internet and shows none without it.
                view=types.TextFieldView(multiline=True, rows=16, componentsProps=MONOSPACE),
            )
        self._describe(inputs, field, ctx)
        inputs.int(
            "limit",
            label="Limit",
            description="Only the first so many images of the recipe; a later run goes on from there",
            min=1,
        )
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Generate"))

    def _describe(self, inputs: types.Object, field: types.Property, ctx: ExecutionContext) -> None:
        """Below the recipe: what it will make, or the one sentence on what is wrong with it."""
        try:
            recipe = _recipe(ctx)
        except RecipeError as error:
            refuse(field, str(error))
            return
        if recipe is None:
            return
        images, classes = count_jobs(recipe), ", ".join(recipe.class_names)
        held = " The dataset exists: only what is missing is painted." if fo.dataset_exists(recipe.dataset) else ""
        inputs.view(
            "recipe_summary",
            types.Notice(
                label=f"{images} images for dataset '{recipe.dataset}', labelled as {classes}.{held}",
            ),
        )

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.generate import generate

        recipe = _recipe(ctx)
        if recipe is None:
            raise RecipeError("recipe", None, "paste a recipe or name a recipe file")
        before = len(fo.load_dataset(recipe.dataset)) if fo.dataset_exists(recipe.dataset) else 0
        dataset = generate(recipe, limit=given(ctx, "limit"), progress=progress)
        added = len(dataset) - before
        message = f"{added} images added to '{dataset.name}', which now holds {len(dataset)}"
        return Outcome(message, {"dataset": dataset.name, "added": added, "images": len(dataset)})

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        name = outcome.result["dataset"]
        yield ctx.ops.reload_dataset() if ctx.dataset_name == name else ctx.ops.open_dataset(name)


def _recipe(ctx: ExecutionContext) -> Recipe | None:
    """The recipe as the form has it, None while nothing is entered.

    Raises:
        RecipeError: what is entered is no recipe.
    """
    if given(ctx, "recipe_from", PASTED) == FILE:
        path = given(ctx, "recipe_path")
        return Recipe.load(path) if path else None
    text = given(ctx, "recipe")
    return Recipe.parse(text) if text else None
