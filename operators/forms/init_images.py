"""What the forms of operators that paint from init images share: model, strength, classes, where the new images go.

Knows the form; ``plugin.generation.img2img_inpaint`` builds the recipe and says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DiffucurateError, InvalidSetting
from diffucurate.generator.jobs.image_count import images_of
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.generator.text.parsing import parse_attributes, parse_strength
from diffucurate.operators.forms.fields import listed, param, refuse
from diffucurate.operators.forms.model import WORLD, model_warning
from diffucurate.operators.forms.model_numbers import placeholders
from diffucurate.operators.forms.recipe_fields import BY_MODEL
from diffucurate.plugin.generation.img2img_inpaint import recipe_from
from diffucurate.plugin.generation.target import find_target

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

#: Where a recipe's field is another one of the form.
_FIELDS = {
    "dataset": "save_as",
    "templates": "prompt",
    "attributes": "changes",
    "source": "target",
    "negative_prompt": "prompt",
}


def ask_prompt(inputs: types.Object, *, description: str, required: bool) -> None:
    """Ask for the prompt of the new images and the values of attributes."""
    inputs.str("prompt", label="Prompt", description=description, required=required)
    inputs.list(
        "changes",
        types.String(),
        label="Attributes",
        description="Such as time=night, or time=night,dusk for both; add others with Enter",
        view=types.AutocompleteView(choices=[], allow_duplicates=False),
    )


def ask_rest(inputs: types.Object, ctx: ExecutionContext, *, strength: str, ending: str) -> None:
    """Ask for strength, number, classes, model and dataset."""
    inputs.str(
        "strength",
        label="Strength",
        description="How far to go from each image, up to 1; of several, such as 0.4, 0.8, each draws one",
        default=strength,
        view=types.TextFieldView(space=4),
    )
    inputs.int(
        "seeds",
        label="Images of each",
        description="Each with a seed of its own",
        default=1,
        view=types.TextFieldView(space=4),
    )
    suggested = placeholders({"model": param(ctx, "model", BUILT_IN)})
    view = types.TextFieldView(space=4, placeholder=suggested.get("steps", BY_MODEL))
    inputs.int("steps", label="Steps", view=view)
    inputs.str(
        "classes",
        label="Classes to label",
        description="Such as car, bus; where empty, those of this dataset that the prompt mentions",
    )
    model = inputs.str("model", label="Model", description=_MODEL, default="tiny")
    if warning := model_warning(str(param(ctx, "model", "tiny"))):
        inputs.view("model_warning", types.Warning(label=warning))
        model.view = types.TextFieldView()
    inputs.str("save_as", label="Dataset to add to", default=f"{ctx.dataset.name}-{ending}")
    inputs.int("count", label="Stop after", description="Only the first so many images; a later run goes on from there")


_MODEL = f"A hub id or a full path; tiny is built in and knows {WORLD} only"


def recipe_of(ctx: ExecutionContext, task: str, more: Mapping[str, Any]) -> Recipe:
    """The recipe as the form has it.

    Raises:
        InvalidSetting, DatasetError: what is wrong with it.
    """
    return recipe_from(
        ctx.target_view(),
        task,
        dataset=param(ctx, "save_as"),
        prompt=param(ctx, "prompt", ()),
        classes=listed(param(ctx, "classes")),
        attributes=parse_attributes(param(ctx, "changes")),
        strength=parse_strength(param(ctx, "strength")),
        seeds=param(ctx, "seeds"),
        steps=param(ctx, "steps"),
        model=param(ctx, "model"),
        **more,
    )


def show_estimate(inputs: types.Object, ctx: ExecutionContext, task: str, more: Mapping[str, Any]) -> None:
    """Say how many images are made of each init image, or put what is wrong on its field."""
    try:
        recipe = recipe_of(ctx, task, more)
        target = find_target(recipe.dataset)
    except DiffucurateError as error:
        root = error.field.partition(".")[0].partition("[")[0] if isinstance(error, InvalidSetting) else "save_as"
        name = _FIELDS.get(root, root)
        message = str(error)
        if isinstance(error, InvalidSetting):
            message = error.remedy if error.value in (None, "", [], {}) else f"{error.value}: {error.remedy}"
        field = inputs.get_property(name) if name in inputs.properties else None
        if field is None:
            field = inputs.view("not_ready", types.Warning(label="Not ready yet", description=message))
        refuse(field, message)
        return
    each = images_of(recipe).images if recipe.templates else 0
    count = len(ctx.target_view())
    text = f"From {count:,} image{'s' * (count != 1)}" + (f", up to {each:,} of each" if each else "")
    remark = " It exists: only what is missing is painted." if target is not None else ""
    notice = types.Notice(label=f"{text}, for dataset '{recipe.dataset}'.{remark}")
    inputs.view("summary", notice)


def in_form(**settings: Any) -> dict[str, Any]:
    """Settings from Python as the form's fields hold them: lists of names and numbers as one text."""
    lists = ("strength", "classes", "replace")
    return {name: _text(value) if name in lists else value for name, value in settings.items() if value is not None}


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
